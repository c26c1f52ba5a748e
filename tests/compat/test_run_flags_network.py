# SPDX-License-Identifier: Apache-2.0
"""Flags of `docker run` for networks: each acts as dockerd's does, seen from inside, from the host and in inspect."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
NETWORK = "docker network create --subnet 10.120.{0}.0/24 --subnet fd00:120:{0}::/64 --ipv6 fl{0} >/dev/null; "
GONE = "; docker network rm fl{0}"


def flagged(flags: str) -> tuple[str, ...]:
    """The flags of `docker run` that a text names."""
    return tuple(word.partition("=")[0] for word in flags.split() if word.startswith("--"))


def bridged(name: str, flags: str, command: str, **more: object) -> Case:
    """A command in the default bridge."""
    return Case(name, f"docker run --rm {flags} {IMAGE} sh -c '{command}'", flags=flagged(flags), **more)  # type: ignore[arg-type]


def networked(name: str, number: int, flags: str, command: str, **more: object) -> Case:
    """A command in a dual-stack network of the case's own."""
    script = f"docker run --rm --network fl{number} {flags} {IMAGE} sh -c '{command}'"
    shown = flagged(f"--network {flags}")
    return Case(name, NETWORK.format(number) + script + GONE.format(number), flags=shown, **more)  # type: ignore[arg-type]


def running(name: str, number: int, flags: str, script: str, **more: object) -> Case:
    """A script about a running container `flcN` in a network of the case's own."""
    start = f"docker run -d --name flc{number} --network fl{number} {flags} {IMAGE} sleep 300 >/dev/null; "
    end = f"; docker rm -f flc{number} >/dev/null" + GONE.format(number)
    return Case(name, NETWORK.format(number) + start + script + end, flags=flagged(flags), **more)  # type: ignore[arg-type]


def inspected(name: str, number: int, flags: str) -> Case:
    """What inspect shows of the endpoints of a container that was only created."""
    script = (
        f"docker create --name flc{number} {flags} {IMAGE} >/dev/null && docker inspect flc{number} "
        f"| jq -Sc '.[0]|[.NetworkSettings.Networks, .HostConfig.NetworkMode]'; docker rm flc{number} >/dev/null"
    )
    return Case(name, script, flags=flagged(flags))


ADDRESSES = "ip a show eth0 | grep -o -e inet.*/[0-9]* | grep -v fe80; ip route | sort; ip -6 route | grep default"
FILES = "grep -v -e ^# -e ^$ /etc/resolv.conf; tail -n +7 /etc/hosts"
CASES = [
    networked("addresses of both families", 1, "--ip 10.120.1.77 --ip6 fd00:120:1::77", ADDRESSES),
    networked(
        "a link-local address",
        2,
        "--ip 10.120.2.7 --link-local-ip 169.254.9.9",
        "ip a show eth0 | grep -o inet.169.*/[0-9]*",
    ),
    networked("mac address", 3, "--mac-address 02:12:34:56:78:9a", "cat /sys/class/net/eth0/address"),
    bridged("mac address in the default bridge", "--mac-address 02:12:34:56:78:9b", "cat /sys/class/net/eth0/address"),
    running(
        "aliases are names",
        4,
        "--network-alias one --network-alias two",
        "docker inspect -f '{{json (index .NetworkSettings.Networks \"fl4\").Aliases}}' flc4;"
        f"docker run --rm --network fl4 {IMAGE} sh -c 'for n in one two flc4 nosuch; do nslookup -type=a $n >/dev/null; echo $?; done'",
    ),
    Case(
        "the long form of --network",
        NETWORK.format(5)
        + f"docker run --rm --network name=fl5,ip=10.120.5.9,alias=al,mac-address=02:00:00:00:05:09,gw-priority=1,"
        f"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1 {IMAGE} sh -c "
        "'cat /sys/class/net/eth0/address /proc/sys/net/ipv4/conf/eth0/log_martians; ip -4 a show eth0 | grep -o inet.*/24'"
        + GONE.format(5),
        flags=("--network",),
    ),
    inspected("two networks", 6, "--network name=x,alias=a --network y"),
    inspected("links of a user network", 7, "--network x --network-alias z --mac-address 02:00:00:00:00:07"),
    Case(
        "none, host and container",
        f"docker run --rm --network none {IMAGE} ip -o link | wc -l; docker run -d --name fln --network none {IMAGE} sleep 60 >/dev/null;"
        f"docker run --rm --network container:fln {IMAGE} sh -c 'ip -o link | wc -l; hostname' | tail -1 | wc -c; docker rm -f fln >/dev/null;"
        f'docker run --rm --network host {IMAGE} readlink /proc/self/ns/net | grep -c "$(readlink /proc/self/ns/net | tr -dc 0-9)"',
        flags=("--network",),
    ),
    networked("dns in a user network", 8, "--dns 192.0.2.53 --dns-search lan.test --dns-option ndots:3", FILES),
    bridged(
        "dns in the default bridge",
        "--dns 192.0.2.53 --dns-search . --dns-option timeout:1",
        "grep -v -e ^# -e ^$ /etc/resolv.conf",
    ),
    networked("no search domain", 9, "--dns-search .", "grep -v ^# /etc/resolv.conf | grep -c search"),
    bridged(
        "extra hosts",
        "--add-host a:10.1.1.1 --add-host b=fd00::1 --add-host up:host-gateway",
        "tail -n +7 /etc/hosts | sort | grep -v 172.17.0.[2-9]; grep -c up /etc/hosts",
    ),
    bridged(
        "hostname and domain",
        "--hostname web --domainname lan.test",
        "hostname; hostname -f; grep web /etc/hosts | cut -f2; cat /etc/hostname",
    ),
    bridged("a hostname with dots", "--hostname web.lan.test", "hostname; grep web /etc/hosts | cut -f2"),
    running(
        "published ports of a user network",
        10,
        "--publish 127.0.0.1:8190:80 --publish 8191-8192:81-82/udp --expose 99",
        "docker port flc10; docker inspect flc10 | jq -c '.[0].NetworkSettings.Ports';"
        "docker exec -d flc10 sh -c 'while :; do echo hi | nc -l -p 80; done'; sleep 0.3; echo | nc -w 1 127.0.0.1 8190",
    ),
    running(
        "ipv6 ports of a user network",
        11,
        "--publish 8193:80 --publish [::1]:8194:80",
        "docker port flc11; docker ps -f name=flc11 --format '{{.Ports}}'",
    ),
    Case(
        "publish all exposed",
        f"docker run -d --name flp --publish-all --expose 90 --expose 91-92/udp {IMAGE} sleep 60 >/dev/null; docker port flp | sed 's/:[0-9]*$/:N/' | sort; docker rm -f flp >/dev/null",
        flags=("--publish-all", "--expose"),
    ),
    Case(
        "one port twice",
        f"docker run -d --name flq -p 8195:80 {IMAGE} sleep 60 >/dev/null; docker run --rm --name flr -p 8195:80 {IMAGE} true; docker rm -f flq >/dev/null",
        is_error=True,
        flags=("--publish",),
    ),
    Case(
        "a legacy link",
        f"docker run -d --name fll --expose 80 -e A=1 {IMAGE} sleep 60 >/dev/null; docker run --rm --link fll:db {IMAGE} sh -c "
        '\'grep db /etc/hosts | cut -f2 | tr " " "\\n" | sort | grep -v -E ^[0-9a-f]{12}; wget -q -T1 -O- http://db/ 2>&1; env | grep ^DB | sort | sed -E s/172[.0-9]+/IP/\'; docker rm -f fll >/dev/null',
        flags=("--link",),
    ),
    Case(
        "a link in a user network",
        NETWORK.format(12)
        + f"docker run -d --name fll --network fl12 {IMAGE} sleep 60 >/dev/null; docker run --rm --network fl12 --link fll:db {IMAGE} "
        "nslookup -type=a db | grep -c 10.120.12.2; docker rm -f fll >/dev/null" + GONE.format(12),
        flags=("--link",),
    ),
    *[
        Case(
            f"refused: {flags}",
            f"docker run --rm {flags} {IMAGE} true; echo $?",
            is_error="--network host" in flags,  # dockerd meets the two networks in no particular order
            flags=flagged(flags),
        )
        for flags in (
            "--network nosuch",
            "--ip 10.1.1.1",
            "--ip6 fd00::1",
            "--ip foo --network x",
            "--network-alias foo",
            "--network host --ip 1.2.3.4",
            "--network host --network-alias foo",
            "--network bridge --network host",
            "--network container:nosuch",
            "--mac-address foo",
            "--link nosuch",
            "--add-host foo",
            "--add-host a:b:c",
            "--dns foo",
            "--network name=x,foo=bar",
            "--network x --network x",
        )
    ],
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_network_flag_acts_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


def test_containers_that_join_each_others_network_are_told_so(holdfastd: Daemon) -> None:
    """Nothing follows the circle for ever: a link to one of them did, and the daemon with it."""
    made = holdfastd.sh(f"""
        docker create --name ring1 --network container:ring2 {IMAGE} true > /dev/null
        docker create --name ring2 --network container:ring1 {IMAGE} true > /dev/null
        docker create --name ring3 --link ring1:other {IMAGE} true
    """)
    started = holdfastd.sh("docker start ring1")
    removed = holdfastd.sh("docker rm ring1 ring2")

    assert "lead in a circle" in made.stderr
    assert "cannot join network namespace of a non running container" in started.stderr
    assert removed.returncode == 0
