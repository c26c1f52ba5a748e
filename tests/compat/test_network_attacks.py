# SPDX-License-Identifier: Apache-2.0
"""The network's table of known attacks, row by row, from a neighbour on the wire and from containers, on both daemons.

`theirs` is what dockerd 28.5 does where that is not what Holdfast does. Rows that would harm a shared dockerd (a flush of
all rules) are in tests/kernel/networks/test_firewall.py only.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
SERVE = "for p in 80 81 82; do nc -lk -p $p -e echo hi & done; wait"
HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
HOST6, NEIGHBOUR6 = "2001:db8::1", "2001:db8::2"
ADDRESS = "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' na-%s"


@dataclass(frozen=True)
class Row:
    """`source` is neighbour, host or a container; `target` an address or a command that prints it."""

    name: str
    source: str
    target: str
    port: int
    reached: bool
    theirs: bool | None = None
    before: str = "true"
    after: str = "true"


ROWS = (
    Row("published on 0.0.0.0, from a neighbour", "neighbour", HOST, 8101, True),
    Row("published on 0.0.0.0, from the host's loopback", "host", "127.0.0.1", 8101, True),
    Row("published on 0.0.0.0, from the host's IPv6 loopback", "host", "[::1]", 8101, True),
    Row("published on 0.0.0.0, from a neighbour by IPv6", "neighbour", f"[{HOST6}]", 8101, True),
    Row("published on 127.0.0.1, from the host's IPv6 loopback", "host", "[::1]", 8102, False),
    Row("published on ::1, from the host", "host", "[::1]", 8103, True),
    Row("published on ::1, by the host's IPv6 address", "neighbour", f"[{HOST6}]", 8103, False),
    Row("published on 0.0.0.0, from another network", "na-b", HOST, 8101, True),
    Row("published on 127.0.0.1, from the host", "host", "127.0.0.1", 8102, True),
    Row("published on 127.0.0.1, by the host's address", "neighbour", HOST, 8102, False),
    Row("published on 127.0.0.1, by routing to the container", "neighbour", ADDRESS % "open", 81, False),
    Row("unpublished, by routing to the container", "neighbour", ADDRESS % "open", 82, False),
    Row(
        "unpublished with a FORWARD policy of accept",
        "neighbour",
        ADDRESS % "open",
        82,
        False,
        before="iptables -P FORWARD ACCEPT",
        after="iptables -P FORWARD DROP",
    ),
    Row(
        "published with a FORWARD policy of drop",
        "neighbour",
        HOST,
        8101,
        True,
        before="iptables -P FORWARD DROP; sleep 1",
    ),
    Row("one network from another", "na-b", ADDRESS % "a", 80, False),
    Row("a container from its own network", "na-a2", ADDRESS % "a", 80, True),
    Row("the host's services by another network's gateway", "na-b", "10.120.1.1", 7001, True),
    Row("the neighbour from a container", "na-a", NEIGHBOUR, 7000, True),
    Row("the neighbour from an internal network", "na-i", NEIGHBOUR, 7000, False),
    Row("an internal network's own gateway", "na-i", "10.120.3.1", 7001, True),
    Row("an internal network from the neighbour", "neighbour", ADDRESS % "i", 80, False),
    Row("a container of a network without icc", "na-q2", ADDRESS % "q", 80, False),
    Row("the neighbour from a network without icc", "na-q", NEIGHBOUR, 7000, True),
    Row("a routed network's published port", "neighbour", ADDRESS % "r", 80, True),
    Row("a routed network's other port", "neighbour", ADDRESS % "r", 81, False),
    Row("an unprotected network's unpublished port", "neighbour", ADDRESS % "u", 82, True),
    Row("the host's loopback from a container", "na-a", "127.0.0.1", 7001, False),
)

SETUP = f"""set -e
docker network create --subnet 10.120.1.0/24 na-a
docker network create --subnet 10.120.2.0/24 na-b
docker network create --subnet 10.120.3.0/24 --internal na-i
docker network create --subnet 10.120.4.0/24 -o com.docker.network.bridge.enable_icc=false na-q
docker network create --subnet 10.120.5.0/24 -o com.docker.network.bridge.gateway_mode_ipv4=routed na-r
docker network create --subnet 10.120.6.0/24 -o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected na-u
run() {{ docker run -d --name na-$1 --init ${{@:2}} {IMAGE} sh -c '{SERVE}'; }}
run open -p 8101:80 -p 127.0.0.1:8102:81 -p [::1]:8103:81
run a --network na-a
run a2 --network na-a
run b --network na-b
run i --network na-i
run q --network na-q
run q2 --network na-q
run r --network na-r -p 80
run u --network na-u
"""
TEARDOWN = """docker rm -f na-open na-a na-a2 na-b na-i na-q na-q2 na-r na-u
docker network rm na-a na-b na-i na-q na-r na-u"""


@contextmanager
def wired(daemon: Daemon) -> Iterator[str]:
    """A neighbour on a wire to the daemon's host, that routes containers' addresses to it; its namespace's name."""
    name = f"na-{os.getpid()}-{daemon.name[:4]}"
    commands = f"""set -e
    ip netns add {name}
    ip link add {name} netns {daemon.netns} type veth peer name wire netns {name}
    ip -n {daemon.netns} link set {name} name wire0
    ip -n {daemon.netns} addr add {HOST}/24 dev wire0
    ip -n {daemon.netns} addr add {HOST6}/64 dev wire0 nodad
    ip -n {daemon.netns} link set wire0 up
    ip -n {name} addr add {NEIGHBOUR}/24 dev wire
    ip -n {name} addr add {NEIGHBOUR6}/64 dev wire nodad
    ip -n {name} link set wire up
    ip -n {name} link set lo up
    ip -n {name} route add 172.16.0.0/12 via {HOST}
    ip -n {name} route add 10.120.0.0/16 via {HOST}
    """
    subprocess.run(["bash", "-c", commands], check=True)
    servers = [
        subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{place}", "socat", f"TCP-LISTEN:{port},fork,reuseaddr", "SYSTEM:echo hi"]
        )
        for place, port in ((name, 7000), (daemon.netns, 7001))
    ]
    try:
        yield name
    finally:
        for server in servers:
            server.kill()
            server.wait()
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture(scope="module")
def neighbours(dockerd: Daemon, holdfastd: Daemon) -> Iterator[dict[str, str]]:
    with wired(dockerd) as theirs, wired(holdfastd) as ours:
        for daemon in (dockerd, holdfastd):
            made = daemon.sh(SETUP)
            assert made.returncode == 0, made.stderr
        yield {dockerd.name: theirs, holdfastd.name: ours}
        for daemon in (dockerd, holdfastd):
            daemon.sh(TEARDOWN)


def is_reached(row: Row, daemon: Daemon, neighbour: str) -> bool:
    daemon.sh(row.before)
    target = daemon.sh(row.target).stdout.strip() if " " in row.target else row.target
    assert target
    if row.source.startswith("na-"):
        command = f"docker exec {row.source} nc -w 1 {target} {row.port} </dev/null"
    else:
        command = f"timeout 1 socat -u TCP:{target}:{row.port},connect-timeout=1 -"
    if row.source == "neighbour":
        command = f"nsenter --net=/run/netns/{neighbour} {command}"
    answer = daemon.sh(command).stdout
    daemon.sh(row.after)
    return answer.strip() == "hi"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_reaches(row: Row, dockerd: Daemon, holdfastd: Daemon, neighbours: dict[str, str]) -> None:
    theirs = is_reached(row, dockerd, neighbours[dockerd.name])
    ours = is_reached(row, holdfastd, neighbours[holdfastd.name])

    assert ours is row.reached
    assert theirs is (row.reached if row.theirs is None else row.theirs)
