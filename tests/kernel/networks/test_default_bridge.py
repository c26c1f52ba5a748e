# SPDX-License-Identifier: Apache-2.0
"""Which subnets the default bridge gets, by its options and by what is on a bridge that is there already."""

import pytest

from holdfast.errors import InvalidArgument

OURS, THEIRS = "holdfast0", "br-theirs"
FOUR, SIX = "192.168.176.88", "fd00:aa::8888"


def shown(lan, bridge, addresses, **options):
    """Subnet, range and gateway of each pool, as inspect tells them, after a start with a bridge that has addresses."""
    lan.kill_daemon()
    lan.host.shell(f"ip link del {OURS}")
    lan.host.shell(f"ip link add {bridge} type bridge && ip link set {bridge} up")
    for address in addresses:
        lan.host.shell(f"ip addr add {address} dev {bridge} {'nodad' if ':' in address else ''}")
    try:
        lan.controller = lan.start_daemon(bridge=bridge, **options)
    except BaseException:
        lan.controller = lan.start_daemon(bridge=bridge)
        raise
    network = lan.controller.network("bridge")
    wished = {":" in wish.subnet: (wish.subnet, wish.ip_range, wish.gateway) for wish in network.wished}
    return [wished.get(pool.is_ipv6, (pool.subnet, "", pool.gateway)) for pool in network.pools]


@pytest.mark.parametrize("bridge", [OURS, THEIRS])
@pytest.mark.parametrize(
    ("addresses", "options", "pools"),
    [
        (
            [f"{FOUR}/20", f"{SIX}/64"],
            {"ipv6": True},
            [("192.168.176.0/20", "", FOUR), ("fd00:aa::/64", "", SIX)],
        ),
        (
            [],
            {"fixed_cidr": "192.168.176.0/24", "ipv6": True, "fixed_cidr6": "fd00:aa::/64"},
            [("192.168.176.0/24", "192.168.176.0/24", ""), ("fd00:aa::/64", "fd00:aa::/64", "")],
        ),
        (
            [f"{FOUR}/20", f"{SIX}/56"],
            {"fixed_cidr": "192.168.176.0/24", "ipv6": True, "fixed_cidr6": "fd00:aa::/64"},
            [("192.168.176.0/20", "192.168.176.0/24", FOUR), ("fd00:aa::/56", "fd00:aa::/64", SIX)],
        ),
        (
            ["10.1.0.9/24", f"{FOUR}/20", "fd00:bb::9/64", f"{SIX}/60"],
            {"fixed_cidr": "192.168.177.0/24", "ipv6": True, "fixed_cidr6": "fd00:aa:0:1::5/64"},
            [("192.168.176.0/20", "192.168.177.0/24", FOUR), ("fd00:aa::/60", "fd00:aa:0:1::/64", SIX)],
        ),
        (
            [f"{FOUR}/20", "fe80:1234::88/56"],
            {"ipv6": True, "fixed_cidr6": "fe80:1234::/64"},
            [("192.168.176.0/20", "", FOUR), ("fe80:1234::/56", "fe80:1234::/64", "fe80:1234::88")],
        ),
    ],
)
def test_what_a_bridge_has_counts(lan, bridge, addresses, options, pools):
    assert shown(lan, bridge, addresses, **options) == pools


@pytest.mark.parametrize("bridge", [OURS, THEIRS])
def test_a_range_of_link_local_addresses_has_the_kernels_for_its_gateway(lan, bridge):
    (_, six) = shown(lan, bridge, [f"{FOUR}/24"], ipv6=True, fixed_cidr6="fe80::/64")
    (kernels,) = {*lan.host.shell(f"ip -br -6 addr show {bridge} scope link").split()[2:]} - {"fe80::1/64"}

    assert six == ("fe80::/64", "fe80::/64", kernels.partition("/")[0])


@pytest.mark.parametrize(
    ("addresses", "options", "pools"),
    [
        (
            [f"{FOUR}/24", f"{SIX}/64"],
            {"fixed_cidr": "192.168.176.0/20", "ipv6": True, "fixed_cidr6": "fd00:aa::/56"},
            [("192.168.176.0/20", "192.168.176.0/20", FOUR), ("fd00:aa::/56", "fd00:aa::/56", SIX)],
        ),
        (
            [f"{FOUR}/24", f"{SIX}/64"],
            {"fixed_cidr": "192.168.177.0/24", "ipv6": True, "fixed_cidr6": "fd00:aa:1::/64"},
            [("192.168.177.0/24", "192.168.177.0/24", ""), ("fd00:aa:1::/64", "fd00:aa:1::/64", "")],
        ),
        (
            [f"{FOUR}/24"],
            {"fixed_cidr": "192.168.177.0/24", "bip": "192.168.177.99/24"},
            [("192.168.177.0/24", "192.168.177.0/24", "192.168.177.99")],
        ),
    ],
)
def test_our_own_bridge_follows_the_options(lan, addresses, options, pools):
    assert shown(lan, OURS, addresses, **options) == pools


@pytest.mark.parametrize("address", [f"{FOUR}/24", "192.168.160.88/20", "192.168.177.1/24"])
@pytest.mark.parametrize("given", ["192.168.176.0/19", "192.168.200.0/24"])
def test_an_administrators_bridge_does_not_and_the_range_is_dropped(lan, caplog, address, given):
    (pool,) = shown(lan, THEIRS, [address], fixed_cidr=given)

    assert pool[1:] == ("", address.partition("/")[0])
    assert f"fixed-cidr={given} is outside any subnet" in caplog.text


@pytest.mark.parametrize("given", ["fd00:aa::/60", "fd00:aa:0:10::/64"])
def test_or_refused_for_ipv6(lan, given):
    with pytest.raises(InvalidArgument, match=f"fixed-cidr-v6={given} is outside any subnet"):
        shown(lan, THEIRS, [f"{SIX}/64"], ipv6=True, fixed_cidr6=given)


@pytest.mark.parametrize(
    "options", [{}, {"ipv6": True, "host_id": "some host"}, {"fixed_cidr": "10.9.0.0/24"}, {"bip": "10.98.0.1/16"}]
)
def test_a_second_start_finds_nothing_to_change(lan, options):
    """What the first start put on the bridge is no wish: a start on a full disk could not write it down."""
    lan.restart_daemon(**options)
    first = lan.controller.network("bridge")
    lan.restart_daemon(**options)

    assert lan.controller.network("bridge") == first
    assert bool(first.wished) == ("bip" in options or "fixed_cidr" in options)
