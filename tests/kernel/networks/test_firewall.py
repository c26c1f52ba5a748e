# SPDX-License-Identifier: Apache-2.0
"""What the packet rules promise, between real hosts: isolation, modes, repair, foreign rules, stale flows, speed.

Together with test_reachability.py these are the rows of the network's table of known attacks, one test each.
"""

import json
import socket
import time

import pytest

from holdfast import errors, networks
from holdfast.networks.firewall import PortRule

NEIGHBOUR, HOST, GATEWAY = "192.0.2.2", "192.0.2.1", "172.17.0.1"
HOST6, NEIGHBOUR6, SUBNET6 = "2001:db8::1", "2001:db8::2", "fd00:7::/64"
ICC = "com.docker.network.bridge.enable_icc"
MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"


def address_of(attachment, index=0):
    return attachment.endpoints[index].ip_address


@pytest.fixture
def lan6(lan):
    """Both hosts speak IPv6; the neighbour routes the containers' range to the host."""
    for place, address in ((lan.host, HOST6), (lan.neighbour, NEIGHBOUR6)):
        place.shell(f"ip -6 addr add {address}/64 dev lan0 nodad")
    lan.neighbour.shell(f"ip -6 route add fd00::/8 via {HOST6}")
    return lan


def has_bridge_filter():
    try:
        open("/proc/sys/net/bridge/bridge-nf-call-iptables").close()
    except OSError:
        return False
    return True


def create6(lan, name="six", **more):
    return lan.create(name, enable_ipv6=True, pools=(networks.PoolWish(subnet=SUBNET6),), **more)


# isolation


def test_networks_do_not_reach_each_other(lan):
    lan.create("a")
    lan.create("b")
    a, web = lan.connect("web", mode="a")
    _, other = lan.connect("other", mode="b")
    _, friend = lan.connect("friend", mode="a")
    web.serve(80)

    assert other.ask(address_of(a), 80) is None
    assert friend.ask(address_of(a), 80) is not None


def test_container_reaches_services_of_the_host_by_another_networks_gateway_as_with_docker(lan):
    network = lan.create("a")
    _, other = lan.connect("other", mode="bridge")
    lan.host.serve(5000)

    assert other.ask(network.ipv4.gateway, 5000) is not None


def test_internal_network_has_no_way_out_nor_in(lan, publish):
    network = lan.create("inside", internal=True)
    attachment, inner = lan.connect("inner", mode="inside")
    _, friend = lan.connect("friend", mode="inside")
    _, outer = lan.connect("outer")
    inner.serve(80)
    lan.neighbour.serve(5000)
    inner.shell(f"ip route add default via {network.ipv4.gateway}")

    assert inner.ask(NEIGHBOUR, 5000) is None
    assert lan.neighbour.ask(address_of(attachment), 80) is None
    assert outer.ask(address_of(attachment), 80) is None
    assert friend.ask(address_of(attachment), 80) is not None
    assert lan.host.ask(address_of(attachment), 80) is not None


@pytest.mark.parametrize("bridge_filter", ["0", "1"])
def test_without_icc_containers_meet_only_through_published_ports(lan, publish, bridge_filter):
    if has_bridge_filter():
        lan.host.write("bridge/bridge-nf-call-iptables", bridge_filter)
    lan.create("quiet", options={ICC: "false"})
    attachment, web = lan.connect("web", mode="quiet", ports=[publish(80, 8080)])
    _, other = lan.connect("other", mode="quiet")
    web.serve(80)
    web.serve(81)
    lan.neighbour.serve(5000)

    assert other.ask(address_of(attachment), 80) is None
    assert other.ask(address_of(attachment), 81) is None
    assert other.ask(NEIGHBOUR, 5000) is not None
    assert lan.neighbour.ask(HOST, 8080) is not None
    if (
        bridge_filter == "0" or not has_bridge_filter()
    ):  # else the bridge itself would have to lead it from port to port
        assert other.ask(HOST, 8080) is not None


def test_icc_of_the_default_bridge_is_the_daemons_option(lan):
    lan.kill_daemon()
    lan.controller = lan.start_daemon(icc=False)
    attachment, web = lan.connect("web")
    _, other = lan.connect("other")
    web.serve(80)

    assert other.ask(address_of(attachment), 80) is None


@pytest.mark.parametrize("bridge_filter", ["0", "1"])
def test_link_opens_the_exposed_ports_to_that_container_only_and_goes_with_either(lan, bridge_filter):
    if has_bridge_filter():
        lan.host.write("bridge/bridge-nf-call-iptables", bridge_filter)
    lan.restart_daemon(icc=False)
    attachment, web = lan.connect("web", exposed=((80, "tcp"), (53, "udp")))
    _, friend = lan.connect("friend", linked=("web",))
    _, other = lan.connect("other")
    inner = address_of(attachment)
    web.serve(80)
    web.serve(81)
    web.serve(53, udp=True)
    friend.serve(80)

    for _ in range(2):
        assert friend.ask(inner, 80) == "web 172.17.0.3"
        assert friend.ask(inner, 53, udp=True) == "web 172.17.0.3"
        assert friend.ask(inner, 81) is None
        assert friend.ask(inner, 53) is None
        assert other.ask(inner, 80) is None
        assert web.ask("172.17.0.3", 80) is None
        lan.restart_daemon(icc=False)

    lan.leave(web)
    lan.disconnect("web")
    _, thief = lan.connect("thief")
    thief.serve(80)
    assert friend.ask(inner, 80) is None
    again, web = lan.connect("web", exposed=((80, "tcp"),))
    web.serve(80)
    assert friend.ask(address_of(again), 80) == "web 172.17.0.3"
    lan.leave(friend)
    lan.disconnect("friend")
    assert lan.host.shell("nft -j list set inet holdfast linked | grep -o elem || true") == ""


def test_linked_port_is_open_while_both_are_in_the_default_bridge(lan):
    lan.restart_daemon(icc=False)
    lan.create("more")
    attachment, web = lan.connect("web", exposed=((80, "tcp"),))
    _, friend = lan.connect("friend", linked=("web",))
    web.serve(80)
    both = (networks.EndpointSettings(network="more"), networks.EndpointSettings(network="bridge"))
    wishes = {"both": both, "away": both[:1], "back": both}

    answers = {}
    for name, endpoints in wishes.items():
        request = lan.request("friend", linked=("web",), endpoints=endpoints)
        lan.host.run(lambda request=request: lan.controller.change(request))
        answers[name] = friend.ask(address_of(attachment), 80, timeout=1) is not None

    assert answers == {"both": True, "away": False, "back": True}


def test_linked_port_survives_a_flush_of_the_rules(lan):
    lan.restart_daemon(icc=False)
    attachment, web = lan.connect("web", exposed=((80, "tcp"),))
    web.serve(80)
    lan.host.shell("nft flush ruleset")
    _, friend = lan.connect("friend", linked=("web",))

    assert friend.ask(address_of(attachment), 80) is not None


# gateway modes


def test_routed_network_is_reached_at_its_published_ports_only(lan, publish):
    lan.create("r", options={MODE4: "routed"})
    attachment, web = lan.connect("web", mode="r", ports=[publish(80)])
    for port in (80, 81):
        web.serve(port)
    lan.neighbour.serve(5000)

    assert lan.neighbour.ask(address_of(attachment), 80) == f"web {NEIGHBOUR}"
    assert lan.neighbour.ask(address_of(attachment), 81) is None
    assert web.ask(NEIGHBOUR, 5000) == f"neighbour {address_of(attachment)}"
    lan.disconnect("web")
    assert lan.neighbour.ask(address_of(attachment), 80) is None


def test_unprotected_network_is_reached_at_any_port(lan, publish):
    lan.create("u", options={MODE4: "nat-unprotected"})
    attachment, web = lan.connect("web", mode="u", ports=[publish(80, 8080)])
    for port in (80, 81):
        web.serve(port)
    _, other = lan.connect("other")

    assert lan.neighbour.ask(HOST, 8080) is not None
    assert lan.neighbour.ask(address_of(attachment), 81) == f"web {NEIGHBOUR}"
    assert other.ask(address_of(attachment), 81) is not None


def test_trusted_interface_reaches_containers_directly(lan):
    lan.create("t", options={"com.docker.network.bridge.trusted_host_interfaces": "lan0"})
    attachment, web = lan.connect("web", mode="t")
    web.serve(80)

    assert lan.neighbour.ask(address_of(attachment), 80) is not None


def test_masquerading_can_be_switched_off(lan):
    lan.create("plain", options={"com.docker.network.bridge.enable_ip_masquerade": "false"})
    attachment, container = lan.connect("one", mode="plain")
    lan.neighbour.serve(5000)

    assert container.ask(NEIGHBOUR, 5000) == f"neighbour {address_of(attachment)}"


def test_network_leaves_with_the_address_of_the_host_that_was_chosen_for_it(lan6):
    lan6.host.shell("ip addr add 192.0.2.9/24 dev lan0; ip -6 addr add 2001:db8::9/64 dev lan0 nodad")
    options = {"com.docker.network.host_ipv4": "192.0.2.9", "com.docker.network.host_ipv6": "2001:db8::9"}
    create6(lan6, name="chosen", options=options)
    _, chosen = lan6.connect("one", mode="chosen")
    _, other = lan6.connect("two")
    lan6.neighbour.serve(5000)
    lan6.neighbour.serve(5006, address="::")

    for _ in range(2):
        assert chosen.ask(NEIGHBOUR, 5000) == "neighbour 192.0.2.9"
        assert chosen.ask(NEIGHBOUR6, 5006, timeout=2) == "neighbour 2001:db8::9"
        assert other.ask(NEIGHBOUR, 5000) == f"neighbour {HOST}"
        lan6.restart_daemon()


# IPv6


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_port_published_on_ipv6_is_reached_from_neighbours_host_and_containers(lan6, publish, udp):
    create6(lan6)
    attachment, web = lan6.connect("web", mode="six", ports=[publish(80, 8080, protocol="udp" if udp else "tcp")])
    web.serve(80, address="::", udp=udp)
    _, other = lan6.connect("other", mode="six")
    inner = attachment.endpoints[0].ipv6_address

    assert lan6.neighbour.ask(HOST6, 8080, udp=udp) == f"web {NEIGHBOUR6}"
    assert lan6.host.ask(HOST6, 8080, udp=udp, timeout=2) is not None
    assert other.ask(HOST6, 8080, udp=udp) is not None
    assert lan6.neighbour.ask(inner, 80, udp=udp) is None


def test_port_published_on_ipv6_loopback_is_the_hosts_own(lan6, publish):
    create6(lan6)
    attachment, web = lan6.connect("web", mode="six", ports=[publish(80, 8080, host_ip="::1")])
    web.serve(80, address="::")

    assert lan6.host.ask(HOST6, 8080) is None
    assert lan6.neighbour.ask(HOST6, 8080) is None
    assert lan6.neighbour.ask(attachment.endpoints[0].ipv6_address, 80) is None


def test_ipv6_networks_are_closed_to_each_other_and_masqueraded(lan6):
    create6(lan6)
    lan6.create("other6", enable_ipv6=True, pools=(networks.PoolWish(subnet="fd00:8::/64"),))
    attachment, web = lan6.connect("web", mode="six")
    web.serve(80, address="::")
    _, other = lan6.connect("other", mode="other6")
    lan6.neighbour.serve(5000, address="::")

    assert other.ask(attachment.endpoints[0].ipv6_address, 80) is None
    assert web.ask(NEIGHBOUR6, 5000, timeout=2) == f"neighbour {HOST6}"


def test_routed_ipv6_network_keeps_its_addresses(lan6, publish):
    create6(lan6, options={MODE6: "routed"})
    attachment, web = lan6.connect("web", mode="six", ports=[publish(80)])
    for port in (80, 81):
        web.serve(port, address="::")
    lan6.neighbour.serve(5000, address="::")
    inner = attachment.endpoints[0].ipv6_address

    assert lan6.neighbour.ask(inner, 80, timeout=2) is not None
    assert lan6.neighbour.ask(inner, 81) is None
    assert web.ask(NEIGHBOUR6, 5000, timeout=2) == f"neighbour {inner}"


def test_host_forwards_ipv6_from_the_first_network_that_needs_it_on_and_nothing_else(lan6):
    assert lan6.host.shell("cat /proc/sys/net/ipv6/conf/all/forwarding").strip() == "0"
    lan6.host.write("ipv6/conf/lan0/accept_ra", "1")
    lan6.switch.shell(
        "ip -6 addr add 2001:db8:1::2/64 dev lan nodad && ip -6 route add 2001:db8::/64 via 2001:db8:1::1"
    )
    lan6.host.shell("ip -6 addr add 2001:db8:1::1/64 dev lan0 nodad")
    lan6.neighbour.shell(f"ip -6 route add 2001:db8:1::/64 via {HOST6}")
    lan6.switch.serve(5000, address="::")
    create6(lan6)

    assert lan6.host.shell("cat /proc/sys/net/ipv6/conf/all/forwarding").strip() == "1"
    assert lan6.host.shell("cat /proc/sys/net/ipv6/conf/lan0/accept_ra").strip() == "2"
    assert lan6.host.ask("2001:db8:1::2", 5000, timeout=2) is not None
    assert lan6.neighbour.ask("2001:db8:1::2", 5000) is None
    lan6.restart_daemon()
    assert lan6.neighbour.ask("2001:db8:1::2", 5000) is None
    lan6.host.shell("nft delete chain inet holdfast forward")
    assert lan6.neighbour.ask("2001:db8:1::2", 5000, timeout=2) is not None


# the administrator, other programs


def test_administrators_chain_decides_first_and_outlives_repair_and_restart(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080), publish(81, 8081)])
    web.serve(80)
    web.serve(81)
    lan.host.shell(f"nft add rule inet holdfast user ip saddr {NEIGHBOUR} tcp dport 80 drop")
    assert lan.neighbour.ask(HOST, 8080) is None
    assert lan.neighbour.ask(HOST, 8081) is not None

    lan.host.shell("nft flush chain inet holdfast forward")
    assert repaired(lan)
    assert lan.neighbour.ask(HOST, 8080) is None
    lan.restart_daemon()
    lan.connect("more", ports=[publish(80, 8090)])
    assert lan.neighbour.ask(HOST, 8080) is None
    assert lan.neighbour.ask(HOST, 8081) is not None


def test_table_of_an_older_shape_is_replaced_but_for_the_administrators_chain(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)
    lan.kill_daemon()
    lan.host.shell(
        "nft flush ruleset; nft 'table inet holdfast { map ports_any { type inet_service : ipv4_addr; }; "
        "chain user { tcp dport 4242 drop; }; }'"
    )

    lan.controller = lan.start_daemon()

    assert lan.neighbour.ask(HOST, 8080) is not None
    assert "tcp dport 4242 drop" in lan.host.shell("nft list chain inet holdfast user")


def repaired(lan, within_seconds=5):
    """What a repair says that is done as soon as the kernel tells of a change."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        notes = lan.host.run(lan.controller.repair)
        if notes:
            return notes
        time.sleep(0.05)
    return []


def test_rules_come_back_after_a_foreign_flush_and_it_is_told_who_did_it(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)
    lan.create("a")
    before = lan.host.shell("nft list ruleset")
    lan.host.run(lan.controller.repair)
    lan.host.shell("nft flush ruleset")
    assert lan.neighbour.ask(HOST, 8080) is None

    notes = repaired(lan)

    assert len(notes) == 1
    assert notes[0].startswith("nft (process ")
    assert lan.host.shell("nft list ruleset") == before
    assert lan.neighbour.ask(HOST, 8080) is not None
    assert lan.host.run(lan.controller.repair) == []


@pytest.mark.parametrize(
    "harm",
    [
        "nft flush chain inet holdfast guard",
        "nft flush map inet holdfast ports_any",
        "nft delete element inet holdfast bridges { holdfast0 }",
        "nft insert rule inet holdfast forward accept",
        "nft add element inet holdfast ports_any { tcp . 9999 : 172.17.0.2 . 22 }",
    ],
)
def test_every_harm_to_our_table_is_undone(lan, publish, harm):
    lan.connect("web", ports=[publish(80, 8080)])
    before = lan.host.shell("nft list ruleset")
    lan.host.run(lan.controller.repair)

    lan.host.shell(harm)

    assert repaired(lan)
    assert lan.host.shell("nft list ruleset") == before


def test_rules_that_were_flushed_while_the_daemon_was_dead_are_back_after_its_start(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)
    lan.kill_daemon()
    lan.host.shell("nft flush ruleset")

    lan.controller = lan.start_daemon()

    assert lan.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"


def test_foreign_changes_that_harm_nothing_are_no_news(lan):
    lan.host.run(lan.controller.repair)
    lan.host.shell("nft add table ip other && nft delete table ip other")

    assert lan.host.run(lan.controller.repair) == []


def test_iptables_policy_of_drop_does_not_cut_containers_off_but_its_rules_count(lan, publish):
    lan.create("a")
    _, web = lan.connect("web", mode="a", ports=[publish(80, 8080), publish(81, 8081)])
    for port in (80, 81):
        web.serve(port)
    lan.neighbour.serve(5000)
    lan.host.shell("iptables-nft -P FORWARD DROP && iptables-nft -A FORWARD -p tcp --dport 81 -j DROP")
    assert lan.neighbour.ask(HOST, 8080) is None

    repaired(lan)

    assert lan.neighbour.ask(HOST, 8080) is not None
    assert web.ask(NEIGHBOUR, 5000) is not None
    assert lan.neighbour.ask(HOST, 8081) is None
    listed = lan.host.shell("iptables-nft -S FORWARD").splitlines()
    assert listed[-1] == "-A FORWARD -j HOLDFAST-FORWARD"
    assert "incompatible" not in lan.host.shell("iptables-nft -S 2>&1")

    late = lan.create("late")
    assert f"-A HOLDFAST-FORWARD -i {late.bridge_interface} -j ACCEPT" in lan.host.shell("iptables-nft -S")
    lan.host.run(lambda: lan.controller.remove("late"))
    assert late.bridge_interface not in lan.host.shell("iptables-nft -S")


def test_iptables_legacy_is_put_right_though_nobody_tells_of_its_changes(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)
    lan.host.run(lan.controller.repair)
    lan.host.shell("iptables-legacy -P FORWARD DROP; ip6tables-legacy -A FORWARD -j REJECT")
    assert lan.neighbour.ask(HOST, 8080) is None

    notes = lan.host.run(lan.controller.repair)

    assert notes[0].startswith("somebody changed the packet rules, now put right")
    assert lan.neighbour.ask(HOST, 8080) is not None
    assert lan.host.shell("ip6tables-legacy -S FORWARD").splitlines()[1] == "-A FORWARD -j HOLDFAST-FORWARD"
    assert lan.host.run(lan.controller.repair) == []
    assert lan.controller.lookout_seconds() == 3.0


def test_a_firewalld_that_does_not_answer_is_complained_of_once_and_asked_again(lan, monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    lan.host.run(lan.controller.repair)
    lan.host.shell("nft add table inet firewalld && nft add chain inet firewalld filter_FORWARD_ZONES")

    first, second = lan.host.run(lan.controller.repair), lan.host.run(lan.controller.repair)

    assert first == ["firewalld could not be told of our bridges: no such file or directory"]
    assert second == []
    assert lan.controller.lookout_seconds() == 3.0
    lan.host.shell("nft add rule inet firewalld filter_FORWARD_ZONES iifname holdfast0 accept")
    assert lan.host.run(lan.controller.repair) == []


@pytest.mark.parametrize("family", ["ip", "ip6"])
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_the_iptables_of_a_family_that_we_do_not_rule_are_not_touched(lan, kind, family):
    lan.kill_daemon()
    for each in ("ip", "ip6"):
        lan.host.shell(f"{each}tables-{kind} -P FORWARD DROP")
    other = {"ip": "ip6", "ip6": "ip"}[family]

    lan.controller = lan.start_daemon(**{{"ip": "firewall", "ip6": "firewall6"}[family]: False})

    assert "HOLDFAST" not in lan.host.shell(f"{family}tables-{kind} -S")
    assert "HOLDFAST" in lan.host.shell(f"{other}tables-{kind} -S")


# UDP flows


def stream(place, address, port):
    """A client that keeps its source port; returns ask() -> answer or None."""
    sock = place.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.settimeout(0.4)
    sock.bind(("", 40000))

    def ask():
        try:
            sock.sendto(b"?", (address, port))
            return sock.recv(100).decode()
        except OSError:
            return None

    return ask, sock


@pytest.mark.parametrize("others", [0, 3], ids=["one-port", "several-ports"])
def test_stream_of_datagrams_follows_the_port_to_its_new_container(lan, publish, others):
    ports = [publish(80 + number, 8080 + number, protocol="udp") for number in range(1 + others)]
    ask, sock = stream(lan.neighbour, HOST, 8080)
    with sock:
        assert ask() is None
        _, old = lan.connect("old", ports=ports)
        old.serve(80, udp=True)
        assert ask() == f"old {NEIGHBOUR}"

        lan.disconnect("old")
        _, keeper = lan.connect("keeper")
        assert keeper is not None
        _, new = lan.connect("new", ports=ports)
        new.serve(80, udp=True)

        assert ask() == f"new {NEIGHBOUR}"


# spoofing


@pytest.mark.parametrize("prevented", [False, True])
def test_container_may_lie_about_its_address_unless_the_network_prevents_it(lan, prevented):
    lan.create("n", options={"holdfast.network.prevent_spoofing": str(prevented).lower()})
    victim, _ = lan.connect("victim", mode="n")
    _, liar = lan.connect("liar", mode="n")
    target, web = lan.connect("web", mode="n")
    web.serve(80)
    assert liar.ask(address_of(target), 80) == "web 172.18.0.3"

    liar.shell(f"ip addr add {address_of(victim)}/16 dev eth0")
    sock = liar.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    heard = web.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with sock, heard:
        heard.bind(("", 5353))
        heard.settimeout(0.4)
        sock.bind((address_of(victim), 0))
        sock.sendto(b"lie", (address_of(target), 5353))
        try:
            told = heard.recvfrom(100)[1][0]
        except TimeoutError:
            told = None

    assert told == (None if prevented else address_of(victim))
    assert liar.ask(address_of(target), 80) is not None
    if prevented:
        liar.shell("ip link set eth0 address 02:42:ac:12:00:99")
        assert liar.ask(address_of(target), 80) is None
        lan.disconnect("liar")
        listed = json.loads(lan.host.shell("nft -j list table bridge holdfast"))["nftables"]
        sets = {item["set"]["name"]: len(item["set"].get("elem", ())) for item in listed if "set" in item}
        assert sets["guarded"] == 2


# options of the daemon


def test_without_iptables_no_rule_is_made(lan):
    lan.kill_daemon()
    lan.host.shell("nft flush ruleset")
    lan.controller = lan.start_daemon(firewall=False, firewall6=False)
    lan.connect("one")
    lan.create("a")

    assert lan.host.shell("nft list ruleset") == ""
    assert lan.host.run(lan.controller.repair) == []


def test_ports_are_published_on_the_daemons_own_address_by_default(lan, publish):
    lan.kill_daemon()
    lan.controller = lan.start_daemon(host_binding_ip="127.0.0.1")
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)

    assert lan.host.ask("127.0.0.1", 8080) is not None
    assert lan.neighbour.ask(HOST, 8080) is None


# cost


def test_thousandth_port_costs_no_more_than_the_first(lan):
    firewall = lan.controller._firewall

    def rule(number):
        return PortRule(
            protocol="tcp", host_ip="0.0.0.0", host_port=20000 + number, container_ip="172.17.0.2", container_port=80
        )

    def publish_one(number):
        began = time.thread_time()
        firewall.publish([rule(number)])
        return time.thread_time() - began

    lan.host.run(lambda: firewall.publish([rule(number) for number in range(1000)]))
    costs = sorted(lan.host.run(lambda number=number: publish_one(number)) for number in range(1001, 1021))

    assert costs[10] < 0.001


def test_bridge_none_is_a_host_without_the_default_network(lan):
    lan.kill_daemon()
    lan.host.shell("ip link del holdfast0")
    lan.controller = lan.start_daemon(bridge="none")

    assert [network.name for network in lan.controller.networks()] == ["host", "none"]
    assert "holdfast0" not in lan.host.shell("ip -br link")
    with pytest.raises(errors.NotFound, match="network bridge not found"):
        lan.connect("one")
    lan.create("a")
    lan.connect("two", mode="a")
    lan.kill_daemon()
    lan.controller = lan.start_daemon()
    lan.connect("three")


def test_fixed_range_limits_the_default_bridges_addresses(lan):
    lan.kill_daemon()
    lan.host.shell("ip link del holdfast0")
    lan.controller = lan.start_daemon(bip="10.99.0.1/16", fixed_cidr="10.99.7.0/24")

    attachment, _ = lan.connect("one")

    assert attachment.endpoints[0].ip_address.startswith("10.99.7.")
    assert attachment.endpoints[0].prefix_length == 16


def test_fixed_range_elsewhere_moves_the_default_bridge(lan):
    lan.restart_daemon(fixed_cidr="10.9.0.0/24")

    attachment, container = lan.connect("one")
    lan.host.serve(5000)

    assert attachment.endpoints[0].ip_address == "10.9.0.2"
    assert container.ask("10.9.0.1", 5000) == "host 10.9.0.2"
    assert lan.host.shell("ip -br -4 addr show holdfast0").split()[2:] == ["10.9.0.1/24"]


def test_default_bridge_loses_the_addresses_it_had_and_keeps_an_administrators(lan):
    lan.restart_daemon(bip="10.99.0.1/16", ipv6=True, fixed_cidr6="fd00:5::/64")
    lan.host.shell("ip addr add 192.0.2.7/32 dev holdfast0")

    lan.restart_daemon(bip="10.98.0.1/16", ipv6=True, fixed_cidr6="fd00:6::/64")

    assert sorted(lan.host.shell("ip -br -4 addr show holdfast0").split()[2:]) == ["10.98.0.1/16", "192.0.2.7/32"]
    assert lan.host.shell("ip -br -6 addr show holdfast0 scope global").split()[2:] == ["fd00:6::1/64"]


# IPv6 in the default bridge


def test_default_bridge_has_ipv6_where_it_is_wanted_and_keeps_it_over_a_restart(lan6, publish):
    lan6.restart_daemon(ipv6=True, host_id="some host")
    attachment, web = lan6.connect("web", ports=[publish(80, 8080)])
    web.serve(80, address="::")
    subnet = lan6.controller.network("bridge").ipv6.subnet
    inner = attachment.endpoints[0].ipv6_address

    assert lan6.controller.network("bridge").enable_ipv6
    assert subnet.startswith("fd")
    for _ in range(2):
        assert lan6.neighbour.ask(HOST6, 8080, timeout=2) == f"web {NEIGHBOUR6}"
        assert lan6.neighbour.ask(inner, 80) is None
        lan6.restart_daemon(ipv6=True, host_id="some host")
        assert lan6.controller.network("bridge").ipv6.subnet == subnet
    later, _ = lan6.connect("later")
    assert inner.endswith("::2")
    assert later.endpoints[0].ipv6_address.endswith("::3")

    lan6.restart_daemon()
    without, _ = lan6.connect("without")
    assert lan6.controller.network("bridge").ipv6 is None
    assert not lan6.controller.network("bridge").enable_ipv6
    assert without.endpoints[0].ipv6_address == ""


def test_default_bridges_subnets_and_ways_out_are_the_daemons_options(lan6):
    lan6.kill_daemon()
    lan6.host.shell("ip link del holdfast0")
    lan6.controller = lan6.start_daemon(
        bip="10.8.0.1/24",
        default_gateway="10.8.0.9",
        ipv6=True,
        fixed_cidr6="fd00:5::7/64",
        default_gateway6="fd00:5::9",
    )
    attachment, inside = lan6.connect("box")
    endpoint = attachment.endpoints[0]

    assert (endpoint.gateway, endpoint.ipv6_gateway) == ("10.8.0.9", "fd00:5::9")
    assert "default via 10.8.0.9 " in inside.shell("ip route")
    assert "default via fd00:5::9 " in inside.shell("ip -6 route")
    assert endpoint.ipv6_address == "fd00:5::2"
    assert "fd00:5::1/64" in lan6.host.shell("ip -6 addr show dev holdfast0")
    lan6.kill_daemon()
    with pytest.raises(errors.InvalidArgument, match=r"must belong to the master pool: 10\.8\.0\.0/24"):
        lan6.start_daemon(bip="10.8.0.1/24", default_gateway="10.9.0.9")
    lan6.controller = lan6.start_daemon()


def test_network_of_ones_own_can_have_another_way_out_too(lan):
    pool = networks.PoolWish(subnet="10.9.0.0/24", auxiliary={"DefaultGatewayIPv4": "10.9.0.9"})
    lan.create("own", pools=(pool,))
    attachment, inside = lan.connect("box", mode="own")

    assert attachment.endpoints[0].gateway == "10.9.0.9"
    assert "default via 10.9.0.9 " in inside.shell("ip route")


def test_only_the_protocol_without_rules_is_without(lan6, publish):
    lan6.restart_daemon(firewall6=False)
    create6(lan6)
    attachment, web = lan6.connect("web", mode="six", ports=[publish(80, 8080)])
    web.serve(80)
    web.serve(81)
    endpoint = attachment.endpoints[0]

    assert lan6.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
    assert lan6.neighbour.ask(endpoint.ip_address, 81) is None
    assert lan6.neighbour.ask(HOST6, 8080) is None
    lan6.restart_daemon(firewall=False)
    assert lan6.neighbour.ask(HOST, 8080) is None
    lan6.restart_daemon()
    assert lan6.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
