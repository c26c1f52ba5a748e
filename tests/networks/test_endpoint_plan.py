# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import msgspec
import pytest

from holdfast import errors
from holdfast.networks import endpoint_plan
from holdfast.networks.addresses import Addresses
from holdfast.networks.network import Network, Pool, PoolWish
from holdfast.networks.values import ConnectRequest, EndpointSettings

OWN = PoolWish(subnet="10.0.0.0/24")
NETWORK = Network(
    network_id="a" * 64,
    name="net",
    driver="bridge",
    created_at="",
    pools=(Pool(subnet="10.0.0.0/24", gateway="10.0.0.1"), Pool(subnet="fd00::/64", gateway="fd00::1")),
    wished=(OWN,),
)
REQUEST = ConnectRequest(
    container_id="c" * 64, name="box", hostname="inner", directory=Path("/x"), mac="02:00:00:00:00:01"
)


def planned(settings=None, network=NETWORK, present=(), addresses=None, request=REQUEST):
    if addresses is None:
        addresses = Addresses()
        addresses.open(network)
    settings = settings or EndpointSettings(network="net")
    return endpoint_plan.plan_endpoint(
        request, network, settings, addresses=addresses, present=present, is_first=not present
    )


def test_endpoint_has_addresses_gateways_and_names():
    found = planned(EndpointSettings(network="net", aliases=("web", "box")))

    assert (found.ip_address, found.prefix_length, found.gateway) == ("10.0.0.2", 24, "10.0.0.1")
    assert (found.ipv6_address, found.ipv6_prefix_length, found.ipv6_gateway) == ("fd00::2", 64, "fd00::1")
    assert found.dns_names == ("box", "web", "c" * 12, "inner")
    assert (found.container_interface, found.mac) == ("eth0", "02:00:00:00:00:01")


def test_a_container_that_switches_ipv6_off_has_no_address_of_it():
    without = dataclasses.replace(REQUEST, ipv6=False, mac="")
    only6 = msgspec.structs.replace(NETWORK, pools=NETWORK.pools[1:])

    found = planned(request=without)
    bare = planned(request=without, network=only6)

    assert (found.ip_address, found.gateway) == ("10.0.0.2", "10.0.0.1")
    assert (found.ipv6_address, found.ipv6_prefix_length, found.ipv6_gateway) == ("", 0, "")
    assert (bare.ip_address, bare.ipv6_address, bare.container_interface) == ("", "", "eth0")
    assert bare.mac.startswith("02:42:")


def test_second_interface_has_the_next_name_and_a_mac_of_its_address():
    first = planned()
    second = planned(present=[first])

    assert (second.container_interface, second.mac) == ("eth1", "02:42:0a:00:00:02")
    assert planned(present=[second]).container_interface == "eth0"


def test_internal_network_has_no_way_out():
    found = planned(
        network=Network(**{**{f: getattr(NETWORK, f) for f in NETWORK.__struct_fields__}, "internal": True})
    )

    assert (found.gateway, found.ipv6_gateway, found.is_internal) == ("", "", True)


def test_failed_plan_gives_its_addresses_back():
    addresses = Addresses()
    addresses.open(NETWORK)
    planned(addresses=addresses)

    with pytest.raises(errors.InvalidArgument):
        planned(EndpointSettings(network="net", ipv6_address="fd00::2"), addresses=addresses)
    assert planned(addresses=addresses).ip_address == "10.0.0.3"


def test_address_of_a_family_that_is_off_is_left_out():
    wished = (OWN, PoolWish(subnet="fd00::/64"))
    members = {field: getattr(NETWORK, field) for field in NETWORK.__struct_fields__}
    network = Network(**{**members, "pools": NETWORK.pools[:1], "wished": wished})

    found = planned(EndpointSettings(network="net", ipv6_address="fd00::7"), network=network)

    assert (found.ip_address, found.ipv6_address) == ("10.0.0.2", "")


def test_template_takes_no_endpoint():
    template = Network(network_id="a", name="t", driver="null", created_at="", config_only=True)
    with pytest.raises(errors.Forbidden, match="configuration-only"):
        planned(network=template)


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        ({"ip_address": "10.0.1.1"}, ["no configured subnet or ip-range contain the IP address 10.0.1.1"]),
        (
            {"ipv6_address": "fd00::7"},
            ["user specified IP address is supported only when connecting to networks with user configured subnets"],
        ),
        (
            {"ip_address": "0.0.0.0"},
            ["invalid IPv4 address: 0.0.0.0", "no configured subnet or ip-range contain the IP address 0.0.0.0"],
        ),
        ({"link_local_addresses": ("x",)}, ["invalid link-local IP address: x"]),
    ],
)
def test_faults_of_settings(settings, faults):
    with pytest.raises(errors.InvalidArgument) as refusal:
        endpoint_plan.check_settings(EndpointSettings(network="net", **settings), "net", NETWORK)

    listed = faults[0] if len(faults) == 1 else "\n".join(f"* {fault}" for fault in faults)
    assert refusal.value.message == f"invalid endpoint settings:\n{listed}"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"link_local_addresses": ("10.1.1.1",)}, "invalid link local IP address: 10.1.1.1"),
        ({"mac": "00:00:00:00:00:00"}, "invalid MAC address"),
        ({"mac": "01:00:5e:00:00:01"}, "invalid MAC address"),
    ],
)
def test_address_that_no_interface_can_have(settings, text):
    with pytest.raises(errors.InvalidArgument, match=text):
        endpoint_plan.check_settings(EndpointSettings(network="net", **settings), "net", NETWORK)


def test_chosen_address_may_lie_beside_the_range_of_the_given_ones():
    wished = PoolWish(subnet="10.0.0.0/24", ip_range="10.0.0.128/25")
    network = msgspec.structs.replace(NETWORK, wished=(wished,))

    endpoint_plan.check_settings(EndpointSettings(network="net", ip_address="10.0.0.5"), "net", network)


@pytest.mark.parametrize(
    "text", ["", "foo", "net.ipv4.conf.eth0.x=1", "kernel.x.y.IFNAME.z=1", "net.ipv4.conf.IFNAME.../x=1"]
)
def test_sysctl_of_another_interface_or_tree_is_refused(text):
    options = ((endpoint_plan.ENDPOINT_SYSCTLS, text),)
    with pytest.raises(errors.InvalidArgument, match="unrecognised network interface sysctl"):
        endpoint_plan.check_settings(EndpointSettings(network="net", driver_options=options), "net", NETWORK)


@pytest.mark.parametrize("name", ["a/b", "..", "lo", "all", "x" * 16, "a b", "a%d"])
def test_bad_interface_name_is_refused(name):
    options = (("com.docker.network.endpoint.ifname", name),)
    with pytest.raises(errors.InvalidArgument, match="invalid interface name"):
        planned(EndpointSettings(network="net", driver_options=options))
