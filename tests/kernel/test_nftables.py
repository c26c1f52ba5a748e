# SPDX-License-Identifier: Apache-2.0
"""Our two ways to nftables against `nft -j` as the oracle, in a network namespace of the test's own."""

import errno
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.kernel import netlink, nfelement, nftables
from holdfast.kernel.syscalls import UNSHARE, call

MAP = "add table inet t; add map inet t m { type inet_proto . inet_service : ipv4_addr . inet_service; }"


@pytest.fixture
def elsewhere():
    thread = ThreadPoolExecutor(max_workers=1)
    thread.submit(lambda: call(UNSHARE, 0x40000000)).result()
    yield lambda function: thread.submit(function).result(timeout=20)
    thread.shutdown()


@pytest.fixture(params=[nftables.Library, nftables.Program])
def way(request):
    return request.param


def key(port):
    return nfelement.concatenate(b"\6", nfelement.port(port))


def value(address, port):
    return nfelement.concatenate(nfelement.address(address), nfelement.port(port))


def shown():
    output = subprocess.run(["nft", "-j", "list", "map", "inet", "t", "m"], capture_output=True, check=True).stdout
    return next(item["map"].get("elem", []) for item in json.loads(output)["nftables"] if "map" in item)


def test_batch_is_all_or_nothing(elsewhere, way):
    def check():
        nft = way()
        nft.run(MAP)
        with pytest.raises(nftables.NftablesError) as refusal:
            nft.run("add element inet t m { tcp . 1 : 10.0.0.1 . 1 }\nadd rule inet t nochain drop")
        assert refusal.value.is_missing
        assert shown() == []
        nft.close()

    elsewhere(check)


def test_list_is_json_with_numbers(elsewhere, way):
    def check():
        nft = way()
        nft.run(MAP + "; add element inet t m { tcp . 80 : 10.0.0.1 . 81 }")
        listed = next(item["map"] for item in nft.list_json("list table inet t") if "map" in item)
        assert listed["elem"] == [[{"concat": [6, 80]}, {"concat": ["10.0.0.1", 81]}]]
        nft.close()

    elsewhere(check)


def test_syntax_error_is_told(elsewhere, way):
    def check():
        nft = way()
        with pytest.raises(nftables.NftablesError, match="syntax error"):
            nft.run("add nonsense")
        nft.close()

    elsewhere(check)


def test_raw_element_is_what_nft_shows(elsewhere):
    def check():
        nftables.Library().run(MAP)
        with nfelement.open_socket() as links:
            nfelement.change(links, nfelement.add("t", "m", [(key(80), value("10.0.0.1", 81))]))
            assert shown() == [[{"concat": ["tcp", 80]}, {"concat": ["10.0.0.1", 81]}]]
            nfelement.change(links, nfelement.delete("t", "m", [key(80)]))
            assert shown() == []

    elsewhere(check)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_raw_batch_is_all_or_nothing_wherever_it_fails(elsewhere, at):
    def check():
        nftables.Library().run(MAP)
        requests = [nfelement.add("t", "m", [(key(port), value("10.0.0.1", 81))]) for port in (1, 2)]
        requests.insert(at, nfelement.delete("t", "m", [key(9)]))
        with nfelement.open_socket() as links:
            with pytest.raises(netlink.NetlinkError) as refusal:
                nfelement.change(links, *requests)
            assert (refusal.value.errno, refusal.value.index) == (errno.ENOENT, at)
            assert shown() == []
            nfelement.change(links, nfelement.add("t", "m", [(key(3), value("10.0.0.1", 81))]))
            assert len(shown()) == 1

    elsewhere(check)
