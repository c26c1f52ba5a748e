# SPDX-License-Identifier: Apache-2.0
"""Beside the host's own firewall, the real one: containers are reached by published ports and reach out, nothing else opens.

Each firewall starts under a running daemon with a running container, is reloaded, and must not be told anything by hand.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
REPAIR_SECONDS = 5
BUS = """<busconfig>
  <type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow eavesdrop="false"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
# what is seen from outside, inside and the host itself; True: reached
WANTED = {"published": True, "its container": False, "unpublished": False, "out": True, "from the host": True}


class Host:
    """A daemon with a container `web` that publishes port 80 of 80 and 81 as 8080, and a neighbour on a wire."""

    def __init__(self, daemon: Daemon, neighbour: str) -> None:
        self.daemon, self.neighbour = daemon, neighbour
        started = daemon.sh(
            f"docker run -d --name web --init -p 8080:80 {IMAGE} sh -c 'for p in 80 81; do nc -lk -p $p -e echo hi & done; wait'"
            " && docker inspect -f '{{.NetworkSettings.IPAddress}}' web"
        )
        assert started.returncode == 0, started.stderr
        self.address = started.stdout.split()[-1]

    def sh(self, script: str) -> str:
        done = self.daemon.sh(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def seen(self) -> dict[str, bool]:
        probes = {
            "published": partial(reaches, self.neighbour, HOST, 8080),
            "its container": partial(reaches, self.neighbour, self.address, 80),
            "unpublished": partial(reaches, self.neighbour, self.address, 81),
            "out": lambda: "hi" in self.daemon.sh(f"docker exec web nc -w 1 {NEIGHBOUR} 7000 </dev/null").stdout,
            "from the host": partial(reaches, self.daemon.netns, "127.0.0.1", 8080),
        }
        with ThreadPoolExecutor() as pool:  # what is closed takes a second to be seen so
            found = {name: pool.submit(probe) for name, probe in probes.items()}
            return {name: each.result() for name, each in found.items()}

    def is_served(self, address: str) -> bool:
        """Whether the neighbour reaches port 80 there, within the time that a repair has."""
        deadline = time.monotonic() + REPAIR_SECONDS
        while not (found := reaches(self.neighbour, address, 80)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def settles(self) -> dict[str, bool]:
        """What is seen as soon as it is as wanted, or when it should have been."""
        deadline = time.monotonic() + REPAIR_SECONDS
        while (seen := self.seen()) != WANTED and time.monotonic() < deadline:
            time.sleep(0.2)
        return seen


def reaches(netns: str, address: str, port: int) -> bool:
    command = ["nsenter", f"--net=/run/netns/{netns}", "nc", "-w", "1", address, str(port)]
    return b"hi" in subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


@contextmanager
def wire(netns: str) -> Iterator[str]:
    """A neighbour that routes containers' addresses to the host and answers at port 7000."""
    name = f"{netns}-n"
    commands = f"""set -e
    ip netns add {name}
    ip link add wire0 netns {netns} type veth peer name wire netns {name}
    ip -n {netns} addr add {HOST}/24 dev wire0
    ip -n {netns} link set wire0 up
    ip -n {name} addr add {NEIGHBOUR}/24 dev wire
    ip -n {name} link set wire up
    ip -n {name} route add 172.16.0.0/12 via {HOST}
    """
    subprocess.run(["bash", "-c", commands], check=True)
    listen = ["nsenter", f"--net=/run/netns/{name}", "socat", "TCP-LISTEN:7000,fork,reuseaddr", "SYSTEM:echo hi"]
    server = subprocess.Popen(listen)
    try:
        yield name
    finally:
        server.kill()
        server.wait()
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def start_host(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]], archives: dict[str, Path]
) -> Callable[[], AbstractContextManager[Host]]:
    @contextmanager
    def start() -> Iterator[Host]:
        name = f"hf-fw-{os.getpid()}"
        with start_holdfastd(name, Path("/var/tmp") / name) as daemon, wire(name) as neighbour:
            assert daemon.sh(f"docker load -i {archives[IMAGE]}").returncode == 0
            yield Host(daemon, neighbour)

    return start


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables(kind: str, start_host: Callable[[], AbstractContextManager[Host]], tmp_path: Path) -> None:
    if kind == "legacy":
        assert Path("/proc/net/ip_tables_names").exists(), (
            "this kernel has no tables of iptables-legacy (CONFIG_IP_NF_IPTABLES_LEGACY)"
        )
    iptables, rules = f"iptables-{kind}", tmp_path / "rules"
    with start_host() as host:
        assert host.seen() == WANTED

        host.sh(
            f"{iptables} -P FORWARD DROP; {iptables} -P INPUT DROP; {iptables} -A INPUT {ESTABLISHED}; {iptables} -A INPUT -i lo -j ACCEPT"
        )
        assert host.settles() == WANTED
        host.sh(
            "docker network create late && docker run --rm --network late "
            + f"{IMAGE} nc -w 1 {NEIGHBOUR} 7000 </dev/null | grep hi"
        )

        # a reload as iptables-persistent does it, of rules from before we came
        rules.write_text(
            f"*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A INPUT {ESTABLISHED}\n-A INPUT -i lo -j ACCEPT\n-A FORWARD -p tcp --dport 4711 -j DROP\nCOMMIT\n"
        )
        host.sh(f"{iptables}-restore < {rules}")
        assert host.settles() == WANTED

        # a last rule that refuses everything is a policy; one before it that means us is not
        host.sh(f"{iptables} -P FORWARD ACCEPT; {iptables} -A FORWARD -m comment --comment last -j REJECT")
        assert host.settles() == WANTED
        host.sh(f"{iptables} -I FORWARD -p tcp --dport 7000 -j DROP")
        time.sleep(1)
        assert host.seen() == {**WANTED, "out": False}


def test_ufw(start_host: Callable[[], AbstractContextManager[Host]], tmp_path: Path) -> None:
    for place in ("ufw", "default"):
        shutil.copytree(Path("/etc") / place, tmp_path / place)
    mounts = "".join(f"mount --bind {tmp_path}/{place} /etc/{place} && " for place in ("ufw", "default"))

    with start_host() as host:

        def ufw(command: str) -> None:
            host.sh(f"unshare -m sh -c '{mounts} ufw {command}'")

        assert host.seen() == WANTED
        ufw("--force enable")
        assert "DROP" in host.sh("iptables -S FORWARD | head -1")
        assert host.settles() == WANTED
        ufw("reload")
        assert host.settles() == WANTED
        ufw("default reject routed")
        assert host.settles() == WANTED
        ufw("route deny proto tcp to any port 7000")
        time.sleep(1)
        assert host.seen() == {**WANTED, "out": False}
        ufw("disable")
        assert host.settles() == WANTED


def test_firewalld(
    start_host: Callable[[], AbstractContextManager[Host]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bus.conf").write_text(BUS.format(socket=tmp_path / "bus"))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    shutil.copytree("/etc/firewalld", tmp_path / "etc")
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL
    )
    program = [
        "firewalld",
        "--nofork",
        "--nopid",
        "--system-config",
        tmp_path / "etc",
        "--log-file",
        tmp_path / "fw.log",
    ]
    children = [bus]
    try:
        with start_host() as host:
            children.append(
                subprocess.Popen(
                    ["nsenter", f"--net=/run/netns/{host.daemon.netns}", *program], stderr=subprocess.DEVNULL
                )
            )
            host.sh("for i in $(seq 100); do firewall-cmd --state 2>/dev/null && exit; sleep 0.2; done; exit 1")
            assert host.settles() == WANTED

            host.sh("firewall-cmd --reload")
            assert host.settles() == WANTED
            assert "holdfast0" in host.sh("firewall-cmd --zone=trusted --list-interfaces")

            interface = "$(docker network inspect -f '{{slice .Id 0 12}}' late | sed s/^/br-/)"
            host.sh("docker network create late")
            assert host.sh(f"firewall-cmd --get-zone-of-interface={interface}") == "trusted\n"
            host.sh(f"firewall-cmd --zone=home --change-interface={interface} && sleep 1")
            assert host.sh(f"firewall-cmd --get-zone-of-interface={interface}") == "home\n"
            host.sh("docker network rm late")
            host.sh("docker network create other && docker network rm other")
            assert host.sh("firewall-cmd --zone=trusted --list-interfaces") == "holdfast0\n"

            # the policy of docs/networks.md for networks that are reached by routing
            routed = "-o com.docker.network.bridge.gateway_mode_ipv4=routed --subnet 172.29.0.0/24"
            host.sh(
                f"docker network create {routed} r; docker run -d --network r -p 80 {IMAGE} nc -lk -p 80 -e echo hi"
            )
            assert not reaches(host.neighbour, "172.29.0.2", 80)
            policy = "firewall-cmd --permanent --policy in"
            host.sh(f"firewall-cmd --permanent --new-policy in; {policy} --set-target ACCEPT")
            host.sh(f"{policy} --add-ingress-zone ANY; {policy} --add-egress-zone trusted; firewall-cmd --reload")
            assert host.is_served("172.29.0.2")
            assert host.settles() == WANTED
    finally:
        for child in children:
            child.terminate()
            child.wait(20)
