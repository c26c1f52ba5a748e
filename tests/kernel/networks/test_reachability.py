# SPDX-License-Identifier: Apache-2.0
"""Who reaches what: the rules of the bridge network, between real namespaces."""

import pytest

NEIGHBOUR, HOST, GATEWAY = "192.0.2.2", "192.0.2.1", "172.17.0.1"


@pytest.fixture(params=[False, True], ids=["tcp", "udp"])
def udp(request):
    return request.param


def connect_server(lan, publish, udp, **binding):
    protocol = "udp" if udp else "tcp"
    attachment, web = lan.connect("web", ports=[publish(80, protocol=protocol, **binding)])
    web.serve(80, udp=udp)
    return attachment.endpoints[0].ip_address, web


def test_published_port_is_reached_from_everywhere(lan, publish, udp):
    _, web = connect_server(lan, publish, udp, host_port=8080)
    _, other = lan.connect("other")

    assert lan.neighbour.ask(HOST, 8080, udp=udp) == f"web {NEIGHBOUR}"
    assert lan.host.ask("127.0.0.1", 8080, udp=udp) == f"web {GATEWAY}"
    assert lan.host.ask(HOST, 8080, udp=udp).startswith("web ")
    assert lan.host.ask(GATEWAY, 8080, udp=udp).startswith("web ")
    assert other.ask(HOST, 8080, udp=udp) == f"web {GATEWAY}"
    assert other.ask(GATEWAY, 8080, udp=udp) == f"web {GATEWAY}"
    assert web.ask(HOST, 8080, udp=udp) == f"web {GATEWAY}"


def test_port_published_on_loopback_is_the_hosts_own(lan, publish, udp):
    connect_server(lan, publish, udp, host_port=8080, host_ip="127.0.0.1")

    assert lan.host.ask("127.0.0.1", 8080, udp=udp) == f"web {GATEWAY}"
    assert lan.host.ask(HOST, 8080, udp=udp) is None
    assert lan.neighbour.ask(HOST, 8080, udp=udp) is None


def test_port_published_on_loopback_is_not_reached_by_routing_to_the_container(lan, publish, udp):
    address, _ = connect_server(lan, publish, udp, host_port=8080, host_ip="127.0.0.1")

    assert lan.neighbour.ask(address, 80, udp=udp) is None


def test_port_published_on_one_address_is_closed_on_others(lan, publish, udp):
    connect_server(lan, publish, udp, host_port=8080, host_ip=HOST)

    assert lan.neighbour.ask(HOST, 8080, udp=udp) == f"web {NEIGHBOUR}"
    assert lan.host.ask("127.0.0.1", 8080, udp=udp) is None


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_unpublished_port_is_closed_whatever_the_forward_policy(lan, publish, policy):
    address, web = connect_server(lan, publish, False, host_port=8080)
    web.serve(81)
    lan.host.shell(
        "nft add table ip other && nft add chain ip other forward "
        f"'{{ type filter hook forward priority -10; policy {policy}; }}'"
    )

    assert lan.neighbour.ask(address, 81) is None
    assert lan.neighbour.ask(address, 80) is None
    assert lan.host.ask(address, 81) is not None


def hurl_loopback_at(place, gateway, interface):
    """Makes a place send what is for 127.0.0.0/8 to another host, as an attacker on the wire would."""
    place.shell("ip addr del 127.0.0.1/8 dev lo; ip link set lo down")
    place.write(f"ipv4/conf/{interface}/route_localnet", "1")
    place.shell(f"ip route add 127.0.0.0/8 via {gateway} dev {interface}")


def test_loopback_address_from_outside_leads_nowhere(lan, publish):
    connect_server(lan, publish, False, host_port=8080, host_ip="127.0.0.1")
    hurl_loopback_at(lan.neighbour, HOST, "lan0")
    lan.host.serve(9999)

    assert lan.neighbour.ask("127.0.0.1", 8080) is None
    assert lan.neighbour.ask("127.0.0.1", 9999) is None
    # the attack is real: a host that routes loopback addresses answers it, and still not on the published port
    lan.host.write("ipv4/conf/lan0/route_localnet", "1")
    assert lan.neighbour.ask("127.0.0.1", 9999) is not None
    assert lan.neighbour.ask("127.0.0.1", 8080) is None


def test_container_does_not_reach_the_hosts_loopback_services(lan):
    _, container = lan.connect("evil")
    hurl_loopback_at(container, GATEWAY, "eth0")
    lan.host.serve(9999, address="127.0.0.1")

    assert container.ask("127.0.0.1", 9999) is None
    # the bridge does route loopback addresses: only the guard stands between
    lan.host.shell("nft flush chain inet holdfast guard")
    assert container.ask("127.0.0.1", 9999) is not None


def test_containers_on_one_bridge_talk_to_each_other(lan):
    attachment, web = lan.connect("web")
    _, other = lan.connect("other")
    web.serve(81)

    assert other.ask(attachment.endpoints[0].ip_address, 81) == "web 172.17.0.3"


def test_container_leaves_with_the_hosts_address(lan, udp):
    _, container = lan.connect("one")
    lan.neighbour.serve(5000, udp=udp)

    assert container.ask(NEIGHBOUR, 5000, udp=udp) == f"neighbour {HOST}"


def test_host_that_we_made_a_router_forwards_nothing_else(lan):
    lan.switch.shell("ip addr add 198.51.100.2/24 dev lan")
    lan.switch.shell("ip route add 192.0.2.0/24 via 198.51.100.1")
    lan.host.shell("ip addr add 198.51.100.1/24 dev lan0")
    lan.neighbour.shell("ip route add 198.51.100.0/24 via 192.0.2.1")
    lan.switch.serve(5000)

    assert lan.host.ask("198.51.100.2", 5000) is not None
    assert lan.neighbour.ask("198.51.100.2", 5000) is None


def test_rules_survive_the_flush_of_a_foreign_table(lan, publish):
    connect_server(lan, publish, False, host_port=8080)
    lan.host.shell("nft add table ip filter && nft flush table ip filter && nft delete table ip filter")

    assert lan.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
