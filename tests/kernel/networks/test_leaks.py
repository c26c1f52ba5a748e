# SPDX-License-Identifier: Apache-2.0
"""A thousand comings and goings leave nothing, neither on the host nor in the daemon nor in the processes beside it.

With all that a connect can involve: both protocols, published ports by rule and by relay, names, links.
"""

import gc
import json
import os
import signal
import time
from contextlib import suppress

import pytest

from holdfast import networks
from holdfast.networks.dns.client import Client

WARM_UP, ROUNDS, STARTS = 20, 500, 60
GROWTH_KILOBYTES = 1024


@pytest.fixture
def busy(lan, publish):
    """A daemon with relay and resolver, two networks, and one container that stays."""
    resolver = Client(lan.directory / "exec/networks")
    lan.restart_daemon(relay=True, resolver=resolver, icc=False)
    for number, name in enumerate(("first", "second")):
        pools = (networks.PoolWish(subnet=f"10.{number}.0.0/24"), networks.PoolWish(subnet=f"fd00:{number + 1}::/64"))
        lan.create(name, enable_ipv6=True, pools=pools)
    begin(lan, "stays", lan_request(lan, publish, "stays", ("bridge", "first"), 8000))
    yield lan
    for pid in companions(lan):
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def companions(lan):
    return [pid for pid in (lan.controller._relay.pid, lan.controller._resolver.pid) if pid]


def lan_request(lan, publish, name, places, port):
    return lan.request(
        name,
        endpoints=tuple(
            [networks.EndpointSettings(network=place, aliases=("alias",) * (place != "bridge")) for place in places]
        ),
        ports=[publish(80, port), publish(81, port, protocol="udp"), publish(82, port + 1, host_ip="::1")],
        exposed=((80, "tcp"),),
        linked=("stays",) if name != "stays" else (),
    )


def begin(lan, name, request):
    return lan.host.run(lambda: lan.controller.connect(request))


def private_kilobytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private"))


def state(lan):
    """Everything that a container could leave behind, but for memory."""
    gc.collect()
    listing = json.loads(lan.host.shell("nft -j list table inet holdfast"))["nftables"]
    elements = {
        described["name"]: sorted(map(str, described.get("elem", ())))
        for item in listing
        if (described := item.get("set") or item.get("map"))
    }
    routes = [route for family in "46" for route in json.loads(lan.host.shell(f"ip -{family} -j route"))]
    return {
        "files": sorted(str(path) for path in (lan.directory / "exec").rglob("*")),
        "links": sorted(link["ifname"] for link in json.loads(lan.host.shell("ip -j link"))),
        "routes": sorted((route["dst"], route["dev"]) for route in routes),
        "mounts": lan.host.shell(f"grep -c {lan.directory} /proc/thread-self/mountinfo || true"),
        "elements": elements,
        "descriptors": [len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), *companions(lan))],
        "statistics": lan.controller.statistics(),
    }


def settled(lan, wanted):
    """The state, as soon as it is the wanted one: the kernel takes its time with what was removed."""
    deadline = time.monotonic() + 10
    while (found := state(lan)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def rounds_leave_nothing(lan, count, turn):
    """A round is a coming and a going."""
    for _ in range(WARM_UP):
        turn()
    before: object = None
    while before != (before := state(lan)):  # the kernel buries interfaces in its own time
        time.sleep(0.3)
    memory = [private_kilobytes(pid) for pid in (os.getpid(), *companions(lan))]

    for _ in range(count):
        turn()

    assert settled(lan, before) == before
    after = [private_kilobytes(pid) for pid in (os.getpid(), *companions(lan))]
    assert all(now < then + GROWTH_KILOBYTES for then, now in zip(memory, after, strict=True)), (memory, after)


def test_a_thousand_connects_and_disconnects_of_a_living_container_leave_nothing(busy, publish):
    one = lan_request(busy, publish, "box", ("bridge", "first"), 8080)
    two = lan_request(busy, publish, "box", ("bridge", "first", "second"), 8080)
    begin(busy, "box", one)

    def turn():
        busy.host.run(lambda: (busy.controller.change(two), busy.controller.change(one)))

    rounds_leave_nothing(busy, ROUNDS, turn)


def test_scores_of_starts_and_ends_leave_nothing(busy, publish):
    request = lan_request(busy, publish, "box", ("bridge", "second"), 8080)

    def turn():
        busy.host.run(lambda: (busy.controller.connect(request), busy.controller.disconnect("box")))

    rounds_leave_nothing(busy, STARTS, turn)
