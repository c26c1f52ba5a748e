# SPDX-License-Identifier: Apache-2.0
"""ipvlan (L2, L3), macvlan and their VLANs on a parent whose other end is a machine of its own: a namespace.

The development machines' kernel has neither ipvlan nor VLANs. Run by tests/vm/run.sh, in the machine.
"""

import json
import subprocess
from collections.abc import Iterator

import pytest
from machine import IMAGE, docker, running_daemon, sh

NEIGHBOUR = "hf-neighbour"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(scope="module", autouse=True)
def wire() -> Iterator[None]:
    """`hf0` here, `eth0` in the neighbour, who answers on 10.9.0.1, on VLAN 7 as 10.7.0.1, and routes to 10.8.0.0/24."""
    ip("netns", "add", NEIGHBOUR)
    ip("link", "add", "hf0", "type", "veth", "peer", "name", "eth0", "netns", NEIGHBOUR)
    ip("link", "set", "hf0", "up")
    for words in (
        "link set eth0 up",
        "addr add 10.9.0.1/24 dev eth0",
        "link add link eth0 name eth0.7 type vlan id 7",
        "link set eth0.7 up",
        "addr add 10.7.0.1/24 dev eth0.7",
        "route add 10.8.0.0/24 dev eth0",
    ):
        ip("-n", NEIGHBOUR, *words.split())
    yield
    ip("link", "delete", "hf0")
    ip("netns", "delete", NEIGHBOUR)


@pytest.fixture(scope="module", autouse=True)
def daemon(wire: None) -> Iterator[None]:
    with running_daemon():
        yield


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    docker("rm", "-f", "first", "second", check=False)
    docker("network", "prune", "-f")
    ip("-n", NEIGHBOUR, "neigh", "flush", "all")  # the next one has the address, and may have another MAC


def links() -> set[str]:
    shown = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout
    return {each["ifname"] for each in json.loads(shown)}


def pings(address: str) -> str:
    return f"ping -c 1 -W 5 {address} > /dev/null && echo reached || echo lost"


@pytest.mark.parametrize(
    "flags",
    ["-d ipvlan", "-d ipvlan -o ipvlan_mode=l2", "-d macvlan", "-d macvlan -o macvlan_mode=bridge"],
)
def test_a_container_is_on_the_parents_wire_and_sees_its_neighbours(flags: str) -> None:
    docker(
        "network",
        "create",
        *flags.split(),
        "-o",
        "parent=hf0",
        "--subnet",
        "10.9.0.0/24",
        "--gateway",
        "10.9.0.1",
        "wire",
    )
    name = docker("run", "-d", "--network", "wire", "--name", "first", IMAGE, "sleep", "1000").strip()
    address = docker("inspect", "-f", "{{.NetworkSettings.Networks.wire.IPAddress}}", name).strip()

    outside = sh(pings("10.9.0.1"), "--network", "wire")
    sibling = sh(pings("first"), "--network", "wire")
    from_outside = subprocess.run(["ip", "netns", "exec", NEIGHBOUR, "ping", "-c1", "-W5", address], check=False)

    docker("rm", "-f", name)
    docker("network", "rm", "wire")
    assert (outside, sibling, from_outside.returncode) == ("reached\n", "reached\n", 0)


def test_an_l3_network_needs_no_gateway_and_is_routed() -> None:
    flags = ["-d", "ipvlan", "-o", "parent=hf0", "-o", "ipvlan_mode=l3", "--subnet", "10.8.0.0/24"]
    docker("network", "create", *flags, "routed")
    name = docker("run", "-d", "--network", "routed", "--name", "second", IMAGE, "sleep", "1000").strip()
    address = docker("inspect", "-f", "{{.NetworkSettings.Networks.routed.IPAddress}}", name).strip()

    routes = docker("exec", name, "ip", "route")
    sibling = sh(pings(address), "--network", "routed")
    mode = docker("network", "inspect", "-f", '{{index .Options "ipvlan_mode"}}', "routed")

    docker("rm", "-f", name)
    docker("network", "rm", "routed")
    assert "default dev eth0" in routes
    assert "via" not in routes
    assert (sibling, mode) == ("reached\n", "l3\n")


@pytest.mark.parametrize("driver", ["ipvlan", "macvlan"])
def test_a_vlan_is_made_for_the_network_and_goes_with_it(driver: str) -> None:
    before = links()
    docker(
        "network",
        "create",
        "-d",
        driver,
        "-o",
        "parent=hf0.7",
        "--subnet",
        "10.7.0.0/24",
        "--gateway",
        "10.7.0.1",
        "tagged",
    )
    made = links() - before

    reached = sh(pings("10.7.0.1"), "--network", "tagged")
    docker("network", "rm", "tagged")

    assert made == {"hf0.7"}
    assert reached == "reached\n"
    assert links() == before
