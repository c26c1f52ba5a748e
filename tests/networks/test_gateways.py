# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from holdfast.networks import gateways
from holdfast.networks.values import Endpoint


def endpoint(name, *, ipv4=True, ipv6=False, priority=0, internal=False):
    return Endpoint(
        endpoint_id=name,
        network_id=name,
        network_name=name,
        driver="bridge",
        ip_address="10.0.0.2" if ipv4 else "",
        gateway="10.0.0.1" if ipv4 and not internal else "",
        ipv6_address="fd00::2" if ipv6 else "",
        ipv6_gateway="fd00::1" if ipv6 and not internal else "",
        gateway_priority=priority,
        is_internal=internal,
    )


def names(*endpoints):
    chosen = gateways.choose(endpoints)
    return tuple(each.network_name if each else None for each in chosen)


def test_highest_priority_then_both_families_then_the_name():
    assert names() == (None, None)
    assert names(endpoint("b"), endpoint("a")) == ("a", None)
    assert names(endpoint("a"), endpoint("b", priority=1)) == ("b", None)
    assert names(endpoint("a"), endpoint("b", ipv6=True)) == ("b", "b")
    assert names(endpoint("a", internal=True), endpoint("b")) == ("b", None)
    assert names(endpoint("a", internal=True)) == (None, None)


def test_families_may_leave_through_different_networks():
    assert names(endpoint("four"), endpoint("six", ipv4=False, ipv6=True)) == ("four", "six")


def test_route_without_a_gateway_counts():
    routed = Endpoint(
        endpoint_id="e",
        network_id="n",
        network_name="l3",
        driver="ipvlan",
        ip_address="10.0.0.2",
        routes_by_device=True,
    )

    assert names(routed) == ("l3", None)


@given(
    st.lists(
        st.builds(
            endpoint,
            st.sampled_from("abcdef"),
            ipv4=st.booleans(),
            ipv6=st.booleans(),
            priority=st.integers(-2, 2),
            internal=st.booleans(),
        ),
        max_size=5,
    )
)
def test_order_of_connecting_does_not_matter_and_a_way_out_is_found_when_there_is_one(found):
    chosen = gateways.choose(found)

    if len({each.network_name for each in found}) == len(found):
        assert gateways.choose(found[::-1]) == chosen
    assert (chosen.ipv4 is not None) == any(each.routes(ipv6=False) for each in found)
    assert (chosen.ipv6 is not None) == any(each.routes(ipv6=True) for each in found)
