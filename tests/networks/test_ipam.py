# SPDX-License-Identifier: Apache-2.0
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.networks import ipam
from holdfast.networks.values import NetworkConfig

SUBNET = ipam.parse_subnet("172.17.0.0/16")


def test_addresses_are_given_lowest_first_and_again():
    pool = ipam.AddressPool(SUBNET)

    assert pool.reserve() == "172.17.0.1"
    assert [pool.allocate() for _ in range(3)] == ["172.17.0.2", "172.17.0.3", "172.17.0.4"]
    pool.release("172.17.0.3")
    assert [pool.allocate(), pool.allocate()] == ["172.17.0.3", "172.17.0.5"]


@given(st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=60))
def test_no_address_is_given_twice(steps):
    pool = ipam.AddressPool(ipam.parse_subnet("10.0.0.0/27"))
    gateway = pool.reserve()
    held = []
    for step in steps:
        if step is None:
            try:
                address = pool.allocate()
            except errors.Exhausted:
                assert len(held) == 29
                continue
            free = {str(a) for a in pool.subnet.hosts()} - set(held) - {gateway}
            assert address == min(free, key=ipaddress.IPv4Address)
            held.append(address)
        elif held:
            pool.release(held.pop(step % len(held)))
    assert len(held) == len(set(held))


def test_asked_address_must_be_inside_and_free():
    pool = ipam.AddressPool(SUBNET)

    assert pool.allocate("172.17.0.9") == "172.17.0.9"
    with pytest.raises(errors.Forbidden, match="Address already in use"):
        pool.allocate("172.17.0.9")
    for unusable in ("172.17.0.0", "172.17.255.255"):
        with pytest.raises(errors.Forbidden, match="Address already in use"):
            pool.allocate(unusable)
    for outside in ("10.0.0.1", "fd00::1"):
        with pytest.raises(errors.InvalidArgument, match="no configured subnet contains"):
            pool.allocate(outside)
    with pytest.raises(errors.InvalidArgument, match="invalid IP address"):
        pool.allocate("nonsense")


def test_range_limits_what_is_chosen_and_not_what_is_asked():
    pool = ipam.AddressPool(SUBNET, ip_range="172.17.5.0/30")
    pool.reserve("172.17.0.1")
    pool.reserve("172.17.5.1")

    assert [pool.allocate() for _ in range(3)] == ["172.17.5.0", "172.17.5.2", "172.17.5.3"]
    with pytest.raises(errors.Exhausted):
        pool.allocate()
    assert pool.allocate("172.17.9.9") == "172.17.9.9"
    with pytest.raises(errors.InvalidArgument, match="not inside subnet"):
        ipam.AddressPool(SUBNET, ip_range="10.0.0.0/24")


def test_what_is_reserved_is_never_released():
    pool = ipam.AddressPool(SUBNET)
    gateway = pool.reserve()

    for address in (gateway, "172.17.0.0", "172.17.255.255"):
        pool.release(address)
        assert pool.is_used(address)


@pytest.mark.parametrize(
    ("subnet", "usable"),
    [
        ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.0/31", ["10.0.0.0", "10.0.0.1"]),
        ("10.0.0.7/32", ["10.0.0.7"]),
        ("fd00::/126", ["fd00::1", "fd00::2", "fd00::3"]),
    ],
)
def test_small_subnets_give_every_usable_address(subnet, usable):
    pool = ipam.AddressPool(ipam.parse_subnet(subnet))

    assert [pool.allocate() for _ in usable] == usable
    with pytest.raises(errors.Exhausted, match="no available addresses on this pool"):
        pool.allocate()


def test_ipv6_subnets_give_the_lowest_address_too():
    pool = ipam.AddressPool(ipam.parse_subnet("fd00:1::/64"), ip_range="fd00:1::100/120")

    assert [pool.allocate() for _ in range(2)] == ["fd00:1::100", "fd00:1::101"]
    assert pool.allocate("fd00:1:0:0:0::7") == "fd00:1::7"


@given(st.text(min_size=1, max_size=40))
def test_unique_local_pool_is_this_hosts_own_and_stable(host_id):
    base, length = ipam.unique_local_pool(host_id)
    network = ipaddress.IPv6Network(base)

    assert ipam.unique_local_pool(host_id) == (base, length)
    assert network.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert (network.prefixlen, length) == (48, 64)
    assert str(ipam.choose_subnet([(base, length)], [], ipv6=True)) == f"{network.network_address}/64"


@given(st.lists(st.sampled_from(list(ipam.iter_default_subnets(NetworkConfig().default_pools))), max_size=31))
def test_chosen_subnet_is_the_first_that_overlaps_nothing(taken):
    pools = NetworkConfig().default_pools
    everything = list(ipam.iter_default_subnets(pools))

    if set(taken) == set(everything):
        with pytest.raises(errors.InvalidArgument, match="fully subnetted"):
            ipam.choose_subnet(pools, taken)
        return
    assert ipam.choose_subnet(pools, taken) == next(s for s in everything if s not in taken)


def test_default_pools_are_dockers():
    subnets = [str(s) for s in ipam.iter_default_subnets(NetworkConfig().default_pools)]

    assert subnets[0] == "172.17.0.0/16"
    assert len(subnets) == 31
    assert "192.168.240.0/20" in subnets


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0", "fd00::1/64", "nonsense", ""])
def test_bad_subnet_is_refused(text):
    with pytest.raises(errors.InvalidArgument, match=f"invalid subnet {text}"):
        ipam.parse_subnet(text)


def test_mac_follows_the_address():
    assert ipam.mac_of("172.17.0.2") == "02:42:ac:11:00:02"
    assert ipam.mac_of("fd00::1:2") == "02:42:00:01:00:02"
