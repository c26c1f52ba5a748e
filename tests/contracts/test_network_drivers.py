# SPDX-License-Identifier: Apache-2.0
"""What every network driver promises, in a namespace of the test's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.kernel.syscalls import MOUNT, UNSHARE, call
from holdfast.networks import Endpoint, Network, Pool, factory
from holdfast.networks.undertaker import Undertaker

MS_REC_PRIVATE = 0x44000
ENDPOINT = Endpoint(
    endpoint_id="e",
    network_id="n",
    network_name="net",
    driver="",
    container_interface="eth0",
    host_interface="vethe",
    ip_address="10.3.0.2",
    prefix_length=16,
    gateway="10.3.0.1",
    mac="02:42:0a:03:00:02",
)


@pytest.fixture(params=["bridge", "host", "macvlan", "null"])
def family(request):
    """(driver, network, run, settle): `run` calls in a thread with its own namespaces, `settle` waits for deletions."""
    thread = ThreadPoolExecutor(max_workers=1)

    def run(function):
        return thread.submit(function).result(timeout=20)

    def move():
        call(UNSHARE, 0x40020000)
        call(MOUNT, b"none", b"/", None, MS_REC_PRIVATE, None)
        return netlink.Socket()

    links = run(move)
    network = Network(
        network_id="n" * 64,
        name="net",
        driver=request.param,
        created_at="",
        pools=(Pool(subnet="10.3.0.0/16", gateway="10.3.0.1"),),
        options={"parent": "uplink"} if request.param == "macvlan" else {},
    )
    run(lambda: links.execute(rtnetlink.create_bridge("uplink", mtu=1500)))  # some link of the host
    undertaker = run(Undertaker)
    driver = factory.open_drivers(links, undertaker)[request.param]
    run(lambda: driver.check(network))
    yield driver, network, run, undertaker.settle
    undertaker.close()
    links.close()
    thread.shutdown()


def names(links):
    return {rtnetlink.parse_link(payload).name for payload in links.dump(rtnetlink.get_links())}


def test_prepare_and_discard_may_be_repeated_and_leave_nothing(family):
    driver, network, run, settle = family

    def check():
        with netlink.Socket() as links:
            before = names(links)
            for _ in range(2):
                driver.prepare(network)
            done = []
            for _ in range(2):
                driver.discard(network, lambda: done.append(names(links)))
                settle()
            assert done == [before, before]

    run(check)


def test_leaving_where_nobody_is_is_fine(family):
    driver, network, run, _ = family

    run(lambda: driver.prepare(network))
    run(lambda: driver.leave(network, ENDPOINT, "/nowhere", lives_on=True))
    run(lambda: driver.leave(network, ENDPOINT, "/nowhere", lives_on=False))
    assert run(lambda: driver.repair(network, [])).devices == []


def test_endpoint_joins_leaves_and_is_a_stray_when_unknown(family, tmp_path):
    driver, network, run, _ = family

    def check():
        driver.prepare(network)
        path = str(tmp_path / "one")
        with netlink.Socket() as links, netns.create(path) as space:
            before, inside = names(links), names(space.links)
            driver.join(network, ENDPOINT, space)
            made = names(links) - before
            assert driver.repair(network, [ENDPOINT]) == ([], [])
            driver.leave(network, ENDPOINT, path, lives_on=False)
            driver.leave(network, ENDPOINT, path, lives_on=False)
            assert set(driver.repair(network, []).devices) == made
            assert (names(links), names(space.links)) == (before, inside)
        netns.remove(path)

    run(check)


def test_endpoint_leaves_a_namespace_that_lives_on_and_comes_back(family, tmp_path):
    driver, network, run, settle = family

    def check():
        driver.prepare(network)
        path = str(tmp_path / "one")
        with netlink.Socket() as links, netns.create(path) as space:
            before, inside = names(links), names(space.links)
            for _ in range(2):
                driver.join(network, ENDPOINT, space)
                has_interface = ENDPOINT.container_interface in names(space.links)
                assert has_interface is (driver.name in ("bridge", "macvlan"))
                driver.leave(network, ENDPOINT, path, lives_on=True)
                settle()
                assert (names(links), names(space.links)) == (before, inside)
        netns.remove(path)

    run(check)
