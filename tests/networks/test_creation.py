# SPDX-License-Identifier: Apache-2.0
import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.networks import creation, ipam
from holdfast.networks.creation import NetworkWish
from holdfast.networks.network import Network, PoolWish
from holdfast.networks.values import NetworkConfig

DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null")
DEFAULTS = [*NetworkConfig().default_pools, ipam.unique_local_pool("host")]
BRIDGE = Network(network_id="b" * 64, name="bridge", driver="bridge", created_at="")


def plan(known=(), **wish):
    return creation.plan_network(
        NetworkWish(**{"name": "n", **wish}), known=(BRIDGE, *known), drivers=DRIVERS, created_at="now"
    )


def pools(planned, *, taken=(), routed=()):
    return creation.plan_pools(planned, taken=taken, routed=routed, defaults=DEFAULTS)


def test_the_daemons_options_are_a_networks_unless_it_says_otherwise():
    defaults = {"bridge": {"com.docker.network.driver.mtu": "1234", "com.docker.network.enable_ipv6": "true"}}

    def options(**wish):
        return creation.with_defaults(NetworkWish(name="n", **wish), defaults).options

    assert options() == options(driver="bridge") == defaults["bridge"]
    assert options(driver="macvlan") == options(config_from="template") == {}
    assert options(options={"com.docker.network.driver.mtu": "1300"})["com.docker.network.driver.mtu"] == "1300"
    assert options(enable_ipv6=False) == {"com.docker.network.driver.mtu": "1234"}
    assert creation.plan_network(
        creation.with_defaults(NetworkWish(name="n"), defaults), known=(), drivers=DRIVERS, created_at="now"
    ).enable_ipv6


def texts(found):
    return [(pool.subnet, pool.gateway) for pool in found]


def test_default_is_the_first_free_subnet_of_each_family():
    found = pools(plan(enable_ipv6=True), taken=["172.17.0.0/16"], routed=["172.18.4.0/24", "fd00::/8"][:1])

    assert texts(found)[0] == ("172.19.0.0/16", "172.19.0.1")
    assert found[1].subnet.endswith("::/64")
    assert found[1].gateway == found[1].subnet.replace("/64", "1")


def test_chosen_subnet_may_be_where_the_host_has_routes_but_not_where_another_network_is():
    wish = plan(pools=(PoolWish(subnet="10.0.0.0/24"),))

    assert texts(pools(wish, routed=["10.0.0.0/8"])) == [("10.0.0.0/24", "10.0.0.1")]
    with pytest.raises(errors.Forbidden, match="Pool overlaps with other one on this address space"):
        pools(wish, taken=["10.0.0.0/8"])


def test_first_address_of_the_range_is_the_gateway_unless_one_is_chosen():
    ranged = PoolWish(subnet="10.0.0.0/24", ip_range="10.0.0.128/25")
    chosen = PoolWish(subnet="10.0.0.0/24", ip_range="10.0.0.128/25", gateway="10.0.0.9", auxiliary={"a": "10.0.0.7"})

    assert texts(pools(plan(pools=(ranged,)))) == [("10.0.0.0/24", "10.0.0.128")]
    filled = creation.fill_pool(pools(plan(pools=(chosen,)))[0])
    assert filled.is_used("10.0.0.9")
    assert filled.is_used("10.0.0.7")
    assert filled.allocate() == "10.0.0.128"


@pytest.mark.parametrize(
    ("wish", "has_gateway"),
    [
        ({"internal": True}, True),
        ({"internal": True, "options": {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}}, False),
        ({"internal": True, "options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}, False),
        ({"options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}, True),
        ({"driver": "macvlan", "options": {"parent": "eth0"}}, True),
        ({"driver": "macvlan"}, False),
        ({"driver": "ipvlan", "options": {"parent": "eth0", "ipvlan_mode": "l3"}}, False),
        ({"driver": "ipvlan", "options": {"parent": "eth0"}, "internal": True}, False),
    ],
)
def test_gateway_only_where_a_way_leads_out_or_the_host_stands_in(wish, has_gateway):
    (pool,) = pools(plan(**wish))

    assert bool(pool.gateway) is has_gateway


def test_several_subnets_are_for_drivers_without_a_bridge():
    two = (PoolWish(subnet="10.0.0.0/24"), PoolWish(subnet="10.0.1.0/24"))

    with pytest.raises(errors.Forbidden, match="bridge driver doesn't support multiple subnets"):
        pools(plan(pools=two))
    assert len(pools(plan(pools=two, driver="macvlan"))) == 2
    with pytest.raises(errors.Forbidden, match="Pool overlaps"):
        pools(plan(pools=(two[0], PoolWish(subnet="10.0.0.0/25")), driver="macvlan"))


def test_template_gives_everything_but_what_concerns_this_network():
    template = plan(
        name="conf",
        config_only=True,
        pools=(PoolWish(subnet="10.0.0.0/24"),),
        options={"o": "1"},
        labels={"l": "2"},
        ipam_options={"i": "3"},
    )
    assert (template.driver, template.scope, template.pools) == ("null", "local", ())

    made = plan([template], config_from="conf", internal=True)

    assert (made.driver, made.internal, made.wished) == ("bridge", True, template.wished)
    assert (made.options, made.labels, made.ipam_options) == ({"o": "1"}, {"l": "2"}, {"i": "3"})
    for more in ({"labels": {"a": "b"}}, {"enable_ipv6": True}, {"pools": template.wished}, {"ipam_driver": "x"}):
        with pytest.raises(errors.Forbidden, match="user specified configurations are not supported"):
            plan([template], config_from="conf", **more)
    with pytest.raises(errors.NotFound, match='configuration network "bridge" does not exist'):
        plan([template], config_from="bridge")


@pytest.mark.parametrize(
    ("wish", "error", "text"),
    [
        ({"name": " "}, errors.InvalidArgument, "name is empty"),
        ({"name": "none"}, errors.Forbidden, "predefined none network"),
        ({"driver": "nosuch"}, errors.NotFound, 'plugin "nosuch" not found'),
        ({"driver": "null"}, errors.Forbidden, "only one instance"),
        ({"ingress": True}, errors.Forbidden, "Ingress network"),
        ({"scope": "swarm"}, errors.Forbidden, "swarm is not active"),
        ({"enable_ipv4": False}, errors.InvalidArgument, "IPv4 or IPv6 must be enabled"),
        ({"options": {"com.docker.network.enable_ipv4": "0"}}, errors.InvalidArgument, "IPv4 or IPv6 must be enabled"),
        ({"options": {"com.docker.network.enable_ipv6": "x"}}, errors.InvalidArgument, "is not a valid bool"),
        ({"ipam_driver": "null"}, errors.InvalidArgument, "ipv4 pool is empty"),
        ({"ipam_driver": "null", "driver": "macvlan"}, errors.Unsupported, "not implemented"),
        ({"pools": (PoolWish(subnet="10.0.0.0/024"),)}, errors.InvalidArgument, "invalid CIDR block notation"),
        ({"config_only": True, "scope": "local"}, errors.Forbidden, "Network operator fields"),
        ({"config_only": True, "config_from": "x"}, errors.Forbidden, "cannot depend on another"),
    ],
)
def test_refusals(wish, error, text):
    with pytest.raises(error, match=text):
        plan(**wish)


@pytest.mark.parametrize("where", [{"subnet": "fd00::%x } /64"}, {"subnet": "fd00::/64", "gateway": "fd00::1%x"}])
def test_an_address_with_a_zone_reaches_no_packet_rule(where):
    with pytest.raises(errors.InvalidArgument, match="invalid network config"):
        plan(enable_ipv6=True, pools=(PoolWish(**where),))


@pytest.mark.parametrize(
    ("subnet", "text"),
    [
        ("ff00::/8", "multicast subnet 'ff00::1/8' is not allowed"),
        ("fe80::/10", "clashes with the Link-Local prefix 'fe80::/64'"),
        ("::/0", "ipv6 pool is empty"),
        ("fd00::7/128", "failed to allocate gateway"),
    ],
)
def test_ipv6_subnet_that_no_bridge_can_have(subnet, text):
    with pytest.raises(errors.InvalidArgument, match=text):
        pools(plan(enable_ipv6=True, pools=(PoolWish(subnet=subnet),)))


def test_all_faults_of_the_subnets_are_told_at_once():
    bad = PoolWish(subnet="10.0.0.0/24", ip_range="10.0.0.0/16", gateway="fd00::1", auxiliary={"a": "11.0.0.1"})

    with pytest.raises(errors.InvalidArgument) as refusal:
        plan(pools=(bad, PoolWish(subnet="10.1.0.9/24"), PoolWish()))

    assert refusal.value.message == (
        "invalid network config:\n"
        "* invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24\n"
        "* invalid gateway fd00::1: parent subnet is an IPv4 block\n"
        "* invalid auxiliary address a: parent subnet 10.0.0.0/24 doesn't contain this address\n"
        "* invalid subnet 10.1.0.9/24: it should be 10.1.0.0/24\n"
        "* invalid subnet : invalid CIDR block notation"
    )


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_text_is_more_than_the_callers_mistake(subnet, ip_range, gateway, address):
    wish = PoolWish(subnet=subnet, ip_range=ip_range, gateway=gateway, auxiliary={"a": address})
    with suppress(errors.InvalidArgument, errors.Forbidden):
        pools(plan(pools=(wish,), enable_ipv6=True))


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(20, 30)).map(
            lambda pair: ipaddress.ip_network((pair[0] << 8 | 10 << 24, pair[1]), strict=False)
        ),
        max_size=8,
    )
)
def test_subnets_of_all_networks_never_overlap(wished):
    taken = []
    for wish in (*[PoolWish(subnet=str(each)) for each in wished], PoolWish(), PoolWish()):
        try:
            taken += [pool.subnet for pool in pools(plan(pools=(wish,) if wish.subnet else ()), taken=taken)]
        except errors.Forbidden:
            assert any(ipam.overlaps(ipam.parse_subnet(wish.subnet), ipam.parse_subnet(other)) for other in taken)
    parsed = [ipam.parse_subnet(each) for each in taken]
    assert not any(ipam.overlaps(a, b) for i, a in enumerate(parsed) for b in parsed[:i])
