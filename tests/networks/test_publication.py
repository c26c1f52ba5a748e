# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from holdfast.networks import publication
from holdfast.networks.gateways import Gateways
from holdfast.networks.network import GATEWAY_MODE4, GATEWAY_MODE6, HOST_BINDING, Network
from holdfast.networks.ports import PortAllocator
from holdfast.networks.values import ConnectRequest, Endpoint, PortBinding

DUAL = Endpoint(
    endpoint_id="e", network_id="n", network_name="n", driver="bridge", ip_address="10.0.0.2", ipv6_address="fd00::2"
)


class Free:
    def close(self):
        pass


def network(**options):
    return Network(network_id="n", name="n", driver="bridge", created_at="", options=options)


ONLY4 = Endpoint(endpoint_id="e", network_id="n", network_name="n", driver="bridge", ip_address="10.0.0.2")


def published(gateways, made, host_ip="", *, relays=False, protocol="tcp"):
    binding = PortBinding(
        container_port=80, protocol=protocol, host_ip=host_ip, host_port_start=8080, host_port_end=8080
    )
    request = ConnectRequest(container_id="c", name="c", hostname="c", directory=Path("/x"), ports=(binding,))
    allocator = PortAllocator(ephemeral=range(1), bind=lambda *_: Free())
    ways = publication.ways(gateways, lambda _: made, relays=relays)
    return [(port.host_ip, port.host_port) for port in publication.reserve(allocator, request, ways, "e")]


@pytest.mark.parametrize(
    ("gateways", "options", "host_ip", "expected"),
    [
        (Gateways(DUAL, DUAL), {}, "", [("0.0.0.0", 8080), ("::", 8080)]),
        (Gateways(DUAL, None), {}, "", [("0.0.0.0", 8080)]),
        (Gateways(DUAL, None), {}, "::1", []),
        (Gateways(DUAL, DUAL), {}, "::1", [("::1", 8080)]),
        (Gateways(DUAL, DUAL), {HOST_BINDING: "127.0.0.1"}, "", [("127.0.0.1", 8080)]),
        (Gateways(DUAL, DUAL), {HOST_BINDING: "127.0.0.1"}, "192.0.2.1", [("192.0.2.1", 8080)]),
        (Gateways(DUAL, DUAL), {GATEWAY_MODE4: "routed"}, "", [("0.0.0.0", 0), ("::", 8080)]),
        (Gateways(DUAL, DUAL), {GATEWAY_MODE4: "routed"}, "127.0.0.1", [("0.0.0.0", 0)]),
        (Gateways(DUAL, DUAL), {GATEWAY_MODE6: "routed"}, "", [("0.0.0.0", 8080), ("::", 0)]),
        (Gateways(None, None), {}, "", []),
    ],
)
def test_addresses_that_a_port_is_taken_on(gateways, options, host_ip, expected):
    assert published(gateways, network(**options), host_ip) == expected


@pytest.mark.parametrize(
    ("gateways", "options", "host_ip", "protocol", "expected"),
    [
        (Gateways(ONLY4, None), {}, "", "tcp", [("0.0.0.0", 8080), ("::", 8080)]),
        (Gateways(ONLY4, None), {}, "", "udp", [("0.0.0.0", 8080), ("::", 8080)]),
        (Gateways(ONLY4, None), {}, "", "sctp", [("0.0.0.0", 8080)]),
        (Gateways(ONLY4, None), {}, "::1", "tcp", [("::1", 8080)]),
        (Gateways(ONLY4, None), {}, "0.0.0.0", "tcp", [("0.0.0.0", 8080)]),
        (Gateways(ONLY4, None), {HOST_BINDING: "127.0.0.1"}, "", "tcp", [("127.0.0.1", 8080)]),
        (Gateways(ONLY4, None), {HOST_BINDING: "::1"}, "", "tcp", [("::1", 8080)]),
        (Gateways(ONLY4, None), {GATEWAY_MODE4: "routed"}, "", "tcp", [("0.0.0.0", 0)]),
        (Gateways(DUAL, DUAL), {}, "", "tcp", [("0.0.0.0", 8080), ("::", 8080)]),
        (Gateways(None, None), {}, "", "tcp", []),
    ],
)
def test_addresses_that_a_port_is_taken_on_when_there_is_a_relay(gateways, options, host_ip, protocol, expected):
    assert published(gateways, network(**options), host_ip, relays=True, protocol=protocol) == expected


def test_ports_stay_where_only_the_container_moves():
    other = Endpoint(endpoint_id="f", network_id="m", network_name="m", driver="bridge", ip_address="10.1.0.2")
    before = publication.ways(Gateways(DUAL, None), lambda _: network(), relays=True)

    assert publication.is_same_for_host(
        before, publication.ways(Gateways(other, None), lambda _: network(), relays=True)
    )
    bound = publication.ways(Gateways(other, None), lambda _: network(**{HOST_BINDING: "127.0.0.1"}), relays=True)
    assert not publication.is_same_for_host(before, bound)
    assert publication.is_same_for_host(
        before, publication.ways(Gateways(DUAL, DUAL), lambda _: network(), relays=True)
    )
    alone = publication.ways(Gateways(DUAL, None), lambda _: network(), relays=False)
    assert not publication.is_same_for_host(alone, before)


def test_parents_of_macvlan_publish_nothing():
    child = Endpoint(endpoint_id="e", network_id="n", network_name="n", driver="macvlan", ip_address="10.0.0.2")
    assert publication.ways(Gateways(child, None), lambda _: network(), relays=True) == ()
