# SPDX-License-Identifier: Apache-2.0
"""What every network driver promises, in a namespace of the test's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.kernel.syscalls import MOUNT, UNSHARE, call
from holdfast.networks import Endpoint, Network, factory

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


@pytest.fixture(params=["bridge", "host", "null"])
def family(request):
    """(driver, network, run): `run` calls in a thread with its own namespaces."""
    thread = ThreadPoolExecutor(max_workers=1)

    def run(function):
        return thread.submit(function).result(timeout=20)

    def move():
        call(UNSHARE, 0x40020000)
        call(MOUNT, b"none", b"/", None, MS_REC_PRIVATE, None)
        return netlink.Socket()

    links = run(move)
    network = Network(
        network_id="n" * 64, name="net", driver=request.param, created_at="", subnet="10.3.0.0/16", gateway="10.3.0.1"
    )
    yield factory.open_drivers(links)[request.param], network, run
    links.close()
    thread.shutdown()


def names(links):
    return {rtnetlink.parse_link(payload).name for payload in links.dump(rtnetlink.get_links())}


def test_prepare_and_discard_may_be_repeated_and_leave_nothing(family):
    driver, network, run = family

    def check():
        with netlink.Socket() as links:
            before = names(links)
            for _ in range(2):
                driver.prepare(network)
            for _ in range(2):
                driver.discard(network)
            assert names(links) == before

    run(check)


def test_leaving_where_nobody_is_is_fine(family):
    driver, network, run = family

    run(lambda: driver.prepare(network))
    run(lambda: driver.leave(network, ENDPOINT))
    assert run(lambda: driver.remove_strays(network, set())) == []


def test_endpoint_joins_leaves_and_is_a_stray_when_unknown(family, tmp_path):
    driver, network, run = family

    def check():
        driver.prepare(network)
        path = str(tmp_path / "one")
        with netlink.Socket() as links, netns.create(path) as space:
            before = names(links)
            driver.join(network, ENDPOINT, space, is_default_route=True)
            made = names(links) - before
            driver.leave(network, ENDPOINT)
            driver.leave(network, ENDPOINT)
            assert driver.remove_strays(network, made) == []
            assert set(driver.remove_strays(network, set())) == made
            assert names(links) == before
        netns.remove(path)

    run(check)
