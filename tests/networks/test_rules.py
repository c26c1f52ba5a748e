# SPDX-License-Identifier: Apache-2.0
"""Which way a published port leads: by a packet rule, by the relay, or by both."""

import pytest

from holdfast.networks import rules
from holdfast.networks.journal import Sandbox
from holdfast.networks.values import BoundPort, Endpoint, NetworkConfig

ONLY4 = Endpoint(
    endpoint_id="e", network_id="n", network_name="n", driver="bridge", ip_address="10.0.0.2", gateway="10.0.0.1"
)
DUAL = Endpoint(
    endpoint_id="e",
    network_id="n",
    network_name="n",
    driver="bridge",
    ip_address="10.0.0.2",
    gateway="10.0.0.1",
    ipv6_address="fd00::2",
    ipv6_gateway="fd00::1",
)
DEFAULT, NO_IPTABLES, NO_IP6TABLES, NO_RELAY = (
    NetworkConfig(),
    NetworkConfig(firewall=False),
    NetworkConfig(firewall6=False),
    NetworkConfig(relay=False),
)


@pytest.mark.parametrize(
    ("endpoint", "host_ip", "config", "led", "relayed"),
    [
        (ONLY4, "0.0.0.0", DEFAULT, ["10.0.0.2"], []),
        (ONLY4, "127.0.0.1", DEFAULT, ["10.0.0.2"], []),
        (ONLY4, "::", DEFAULT, [], ["10.0.0.2"]),
        (ONLY4, "::1", DEFAULT, [], ["10.0.0.2"]),
        (ONLY4, "2001:db8::1", DEFAULT, [], ["10.0.0.2"]),
        (ONLY4, "::", NO_RELAY, [], []),
        (DUAL, "0.0.0.0", DEFAULT, ["10.0.0.2"], []),
        (DUAL, "::", DEFAULT, ["fd00::2"], ["fd00::2"]),
        (DUAL, "::1", DEFAULT, [], ["fd00::2"]),
        (DUAL, "2001:db8::1", DEFAULT, ["fd00::2"], []),
        (DUAL, "2001:db8::1", NO_IP6TABLES, ["fd00::2"], ["fd00::2"]),
        (DUAL, "0.0.0.0", NO_IP6TABLES, ["10.0.0.2"], []),
        (DUAL, "0.0.0.0", NO_IPTABLES, ["10.0.0.2"], ["10.0.0.2"]),
        (DUAL, "::", NO_RELAY, ["fd00::2"], []),
    ],
)
def test_ways_of_a_port(endpoint, host_ip, config, led, relayed):
    port = BoundPort(container_port=80, protocol="tcp", host_ip=host_ip, host_port=8080)
    found = Sandbox(sandbox_id="s", container_id="c", name="c", endpoints=(endpoint,), ports=(port,))

    assert [rule.container_ip for rule in rules.port_rules(found)] == led
    assert [rule.container_ip for rule in rules.relay_rules(found, config)] == relayed


def test_what_the_relay_does_not_speak_is_not_relayed():
    ports = tuple(
        BoundPort(container_port=80, protocol=protocol, host_ip="::", host_port=number)
        for protocol, number in (("sctp", 8080), ("udp", 8080), ("tcp", 0))
    )
    found = Sandbox(sandbox_id="s", container_id="c", name="c", endpoints=(ONLY4,), ports=ports)

    assert [rule.port.key for rule in rules.relay_rules(found, DEFAULT)] == ["udp [::]:8080"]
