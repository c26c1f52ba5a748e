# SPDX-License-Identifier: Apache-2.0
import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.networks.firewall import (
    BridgeRules,
    Identity,
    PortRule,
    firewalld,
    foreign,
    legacy,
    monitor,
    plan,
    tables,
)
from holdfast.networks.firewall.shapes import FRAMES, PACKETS

BRIDGE = BridgeRules(interface="holdfast0", subnets=("172.17.0.0/16",))


def rule(host_ip="0.0.0.0", host_port=8080, protocol="tcp"):
    return PortRule(
        protocol=protocol, host_ip=host_ip, host_port=host_port, container_ip="172.17.0.2", container_port=80
    )


def filled(elements):
    return {name: texts for name, texts in elements.items() if texts}


def test_bridge_is_a_few_elements():
    assert filled(plan.plan_elements([BRIDGE], [])) == {
        "bridges": {'"holdfast0"'},
        "talking": {'"holdfast0" . "holdfast0"'},
        "masqueraded": {"172.17.0.0/16"},
    }
    shut = BridgeRules(interface="b", subnets=("10.0.0.0/8",), icc=False, internal=True, masquerade=False)
    planned = plan.plan_elements([shut], [])
    assert (planned["talking"], planned["closed"], planned["masqueraded"]) == (set(), {'"b"'}, set())


def test_port_on_all_addresses_and_on_one_go_to_their_maps():
    planned = plan.plan_elements([], [rule(), rule("127.0.0.1", 53, "udp")])

    assert planned["ports_any"] == {"tcp . 8080 : 172.17.0.2 . 80"}
    assert planned["ports"] == {"127.0.0.1 . udp . 53 : 172.17.0.2 . 80"}


def test_deletions_come_before_additions_and_name_only_the_key():
    old, new = plan.plan_elements([], [rule()]), plan.plan_elements([], [rule(host_port=8081)])

    assert plan.plan_changes("t", old, new) == [
        "delete element inet t ports_any { tcp . 8080 }",
        "add element inet t ports_any { tcp . 8081 : 172.17.0.2 . 80 }",
    ]


PORTS = st.builds(
    rule,
    host_ip=st.sampled_from(["0.0.0.0", "127.0.0.1"]),
    host_port=st.integers(1, 4),
    protocol=st.sampled_from(["tcp", "udp", "sctp"]),
)


@given(st.lists(PORTS), st.lists(PORTS))
def test_changes_are_the_difference(before, after):
    old, new = plan.plan_elements([], before), plan.plan_elements([BRIDGE], after)

    assert plan.plan_changes("t", new, new) == []
    commands = plan.plan_changes("t", old, new)
    added = {
        element for line in commands if line.startswith("add") for element in line[line.index("{") + 2 : -2].split(", ")
    }
    assert added == set().union(*new.values()) - set().union(*old.values())


def test_only_a_host_that_we_made_a_router_drops_foreign_forwarding():
    ours = plan.render_table(PACKETS, "t", is_router=False)
    theirs = plan.render_table(PACKETS, "t", is_router=True)

    ipv6 = plan.render_table(PACKETS, "t", is_router6=False)

    assert set(ours) - set(theirs) == {"add rule inet t forward meta nfproto ipv4 drop"}
    assert set(ipv6) - set(theirs) == {"add rule inet t forward meta nfproto ipv6 drop"}


def test_static_part_empties_chains_and_keeps_maps():
    commands = plan.render_table(PACKETS, "t", is_router=True)

    assert "flush chain inet t forward" in commands
    assert not any(command.startswith(("delete", "flush table", "flush map", "flush set")) for command in commands)


def test_elements_are_read_back_in_the_same_words():
    objects = [
        {"metainfo": {}},
        {"set": {"name": "bridges", "elem": ["holdfast0"]}},
        {"set": {"name": "talking", "elem": [{"concat": ["holdfast0", "holdfast0"]}]}},
        {"set": {"name": "masqueraded", "elem": [{"prefix": {"addr": "172.17.0.0", "len": 16}}]}},
        {"set": {"name": "closed"}},
        {"set": {"name": "somebody-elses", "elem": [1]}},
        {"map": {"name": "ports", "elem": [[{"concat": ["127.0.0.1", 17, 53]}, {"concat": ["172.17.0.2", 80]}]]}},
        {"map": {"name": "ports_any", "elem": [[{"concat": [6, 8080]}, {"concat": ["172.17.0.2", 80]}]]}},
    ]

    assert filled(plan.parse_elements(PACKETS, objects)) == filled(
        plan.plan_elements([BRIDGE], [rule(), rule("127.0.0.1", 53, "udp")])
    )


@pytest.mark.parametrize(
    ("mode", "extra"),
    [
        ("nat", {"masqueraded": {"10.1.0.0/16"}, "masqueraded6": {"fd01::/64"}}),
        ("routed", {"pinged4": {'"b"'}, "pinged6": {'"b"'}}),
        (
            "nat-unprotected",
            {"masqueraded": {"10.1.0.0/16"}, "masqueraded6": {"fd01::/64"}, "open4": {'"b"'}, "open6": {'"b"'}},
        ),
        ("isolated", {}),
    ],
)
def test_gateway_mode_opens_no_more_than_its_name_says(mode, extra):
    bridge = BridgeRules(interface="b", subnets=("10.1.0.0/16", "fd01::/64"), mode=mode, mode6=mode)

    planned = filled(plan.plan_elements([bridge], []))

    assert planned == {"bridges": {'"b"'}, "talking": {'"b" . "b"'}, **extra}


def test_ipv6_ports_have_maps_of_their_own_and_one_spelling():
    planned = plan.plan_elements(
        [],
        [
            PortRule(protocol="tcp", host_ip="::", host_port=80, container_ip="FD00:0::2", container_port=8),
            PortRule(protocol="udp", host_ip="0::1", host_port=53, container_ip="fd00::2", container_port=53),
        ],
    )

    assert planned["ports6_any"] == {"tcp . 80 : fd00::2 . 8"}
    assert planned["ports6"] == {"::1 . udp . 53 : fd00::2 . 53"}


def test_routed_port_is_the_containers_own():
    routed = PortRule(
        protocol="tcp", host_ip="0.0.0.0", host_port=0, container_ip="10.1.0.2", container_port=80, is_routed=True
    )

    assert filled(plan.plan_elements([], [routed])) == {"routed4": {"10.1.0.2 . tcp . 80"}}


def test_address_to_leave_with_is_a_map_element_of_the_subnet():
    planned = plan.plan_elements([BridgeRules(interface="b", subnets=("10.1.0.0/16",), leave_as="192.0.2.9")], [])

    assert planned["leaving"] == {"10.1.0.0/16 : 192.0.2.9"}


def test_trusted_interface_may_talk_to_the_bridge():
    planned = plan.plan_elements([BridgeRules(interface="b", icc=False, trusted=("eth1",))], [])

    assert planned["talking"] == {'"eth1" . "b"'}


def test_identity_binds_a_port_to_its_mac_and_addresses():
    planned = plan.plan_elements([], [], [Identity(interface="v", mac="02:AA:00:00:00:01", ipv4="10.1.0.2")])

    assert filled(planned) == {
        "guarded": {'"v"'},
        "macs": {'"v" . 02:aa:00:00:00:01'},
        "bindings": {'"v" . 10.1.0.2'},
    }


@given(PORTS)
def test_raw_element_goes_where_the_text_does(port):
    name, _, _ = plan.port_element(port)

    assert tables.raw_element(port)[0] == name


def test_the_users_chain_is_made_and_never_emptied():
    commands = plan.render_table(PACKETS, "t")

    assert "add chain inet t user" in commands
    assert "add rule inet t forward jump user" in commands
    assert "flush chain inet t user" not in commands
    assert not any("user" in command for command in plan.render_table(FRAMES, "t"))


def test_rules_are_marked_by_their_handles_but_for_the_users():
    objects = [
        {"rule": {"chain": "forward", "handle": 7, "expr": []}},
        {"rule": {"chain": "user", "handle": 8, "expr": []}},
        {"rule": {"chain": "strange", "handle": 9, "expr": []}},
    ]

    assert plan.parse_marks(objects, PACKETS) == {("forward", 7)}


def test_rules_of_a_chain_are_read_from_its_listing():
    listing = "table inet t {\n\tchain user {\n\t\tip saddr 10.0.0.1 drop\n\t\ttcp dport { 1, 2 } accept\n\t}\n}\n"

    assert tables.chain_rules(listing) == ["ip saddr 10.0.0.1 drop", "tcp dport { 1, 2 } accept"]


def forward_chain(policy, family="ip"):
    return {"chain": {"family": family, "table": "filter", "name": "FORWARD", "hook": "forward", "policy": policy}}


def test_foreign_chain_that_lets_pass_needs_nothing_from_us():
    assert foreign.questions([forward_chain("accept")]) == ["list chain ip filter FORWARD"]
    assert foreign.plan_changes([forward_chain("accept")], ["b"]) == []


def test_foreign_policy_of_drop_gets_one_jump_behind_its_own_rules():
    assert foreign.questions([forward_chain("drop")]) == ["list chain ip filter FORWARD"]
    assert foreign.plan_changes([forward_chain("drop")], ["b"]) == [
        "add chain ip filter HOLDFAST-FORWARD",
        "flush chain ip filter HOLDFAST-FORWARD",
        'add rule ip filter HOLDFAST-FORWARD iifname "b" counter accept',
        'add rule ip filter HOLDFAST-FORWARD oifname "b" counter accept',
        "add rule ip filter FORWARD counter jump HOLDFAST-FORWARD",
    ]


def listed(handle, *expressions, chain="FORWARD"):
    described = {"family": "ip", "table": "filter", "chain": chain, "handle": handle}
    return {"rule": {**described, "expr": [{"counter": None}, *expressions]}}


def accepting(key, name):
    match = {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}}
    return listed(9, match, {"accept": None}, chain=foreign.CHAIN)


OUR_CHAIN = {"chain": {"family": "ip", "table": "filter", "name": foreign.CHAIN}}
OUR_JUMP = {"jump": {"target": foreign.CHAIN}}


def test_what_is_there_already_is_not_added_again():
    listing = [
        forward_chain("drop"),
        OUR_CHAIN,
        accepting("iifname", "b"),
        accepting("oifname", "b"),
        listed(3, OUR_JUMP),
    ]

    assert foreign.plan_changes(listing, ["b"]) == []
    assert foreign.plan_changes(listing, []) == ["flush chain ip filter HOLDFAST-FORWARD"]


@pytest.mark.parametrize("refusal", [{"drop": None}, {"reject": None}, {"xt": {"type": "target", "name": "REJECT"}}])
def test_a_last_rule_that_refuses_everything_is_a_policy(refusal):
    limited = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": 6}}
    listing = [forward_chain("accept"), listed(3, limited, refusal), listed(4, refusal)]

    assert (
        foreign.plan_changes(listing, ["b"])[-1]
        == "insert rule ip filter FORWARD handle 4 counter jump HOLDFAST-FORWARD"
    )
    assert foreign.plan_changes(listing[:2], ["b"]) == []


def test_a_chain_that_refuses_everything_is_a_policy_too():
    listing = [
        forward_chain("drop"),
        {"chain": {"family": "ip", "table": "filter", "name": "ufw-reject-forward"}},
        listed(3, {"jump": {"target": "ufw-before-forward"}}),
        listed(4, {"jump": {"target": "ufw-reject-forward"}}),
    ]
    assert foreign.further_questions(listing) == [
        "list chain ip filter ufw-before-forward",
        "list chain ip filter ufw-reject-forward",
    ]
    listing.append(listed(7, {"reject": None}, chain="ufw-reject-forward"))

    assert (
        foreign.plan_changes(listing, ["b"])[-1]
        == "insert rule ip filter FORWARD handle 4 counter jump HOLDFAST-FORWARD"
    )


def test_a_jump_that_others_were_put_behind_goes_behind_them_again():
    ours = [OUR_CHAIN, accepting("iifname", "b"), accepting("oifname", "b")]
    listing = [forward_chain("drop"), *ours, listed(3, OUR_JUMP), listed(4, {"jump": {"target": "theirs"}})]

    assert foreign.plan_changes(listing, ["b"]) == [
        "delete rule ip filter FORWARD handle 3",
        "add rule ip filter FORWARD counter jump HOLDFAST-FORWARD",
    ]


names = st.sampled_from(["b0", "b1"])
rules = st.lists(st.sampled_from(["", "refuse", "theirs", "deaf", foreign.CHAIN]), max_size=6)
forwards = st.builds(
    foreign.Forward,
    drops=st.booleans(),
    rules=rules.map(lambda targets: tuple(foreign.Rule(target) for target in targets)),
    refusing=st.just(frozenset({"deaf"})),
    accepted=st.none() | st.frozensets(st.tuples(st.sampled_from(["iifname", "oifname"]), names)),
)


def applied(forward, changes):
    """What the changes make of a chain."""
    targets = [rule for index, rule in enumerate(forward.rules) if index not in changes.removed]
    if changes.before is not None:
        place = changes.before - sum(index < changes.before for index in changes.removed)
        targets.insert(place, foreign.Rule(foreign.CHAIN))
    content = forward.accepted if changes.content is None else frozenset(changes.content)
    return forward._replace(rules=tuple(targets), accepted=frozenset() if changes.make and content is None else content)


@given(forwards, st.frozensets(names).map(sorted))
def test_one_change_is_enough_and_a_packet_of_ours_comes_through_all_but_explicit_rules(forward, interfaces):
    after = applied(forward, foreign.plan(forward, interfaces))

    assert foreign.plan(after, interfaces) == foreign.NOTHING
    targets = [rule.target for rule in after.rules]
    refusal = next((index for index, target in enumerate(targets) if target in ("refuse", "deaf")), None)
    if after.drops or refusal is not None:
        assert after.accepted == {(side, name) for name in interfaces for side in ("iifname", "oifname")}
        assert targets.count(foreign.CHAIN) == 1
        assert targets.index(foreign.CHAIN) == (len(targets) if refusal is None else refusal) - 1
    else:
        assert not after.accepted


def test_changes_of_legacy_chains_are_told_in_the_words_of_iptables_save():
    forward = foreign.Forward(drops=True, rules=(foreign.Rule(foreign.CHAIN), foreign.Rule(""), foreign.Rule("refuse")))

    assert legacy.render(foreign.plan(forward, ["b"])) == [
        ":HOLDFAST-FORWARD - [0:0]",
        "-A HOLDFAST-FORWARD -i b -j ACCEPT",
        "-A HOLDFAST-FORWARD -o b -j ACCEPT",
        "-D FORWARD 1",
        "-I FORWARD 2 -j HOLDFAST-FORWARD",
    ]


def test_interfaces_without_a_zone_are_those_that_firewalld_does_not_name():
    where = {"family": "inet", "table": "firewalld"}
    chain = {"chain": {**where, "name": "filter_FORWARD_ZONES"}}
    zone = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "b"}}
    rule = {"rule": {**where, "chain": "filter_FORWARD_ZONES", "expr": [zone, {"goto": {"target": "filter_FWD_home"}}]}}

    assert firewalld.questions([forward_chain("accept"), chain]) == ["list chain inet firewalld filter_FORWARD_ZONES"]
    assert firewalld.without_zone([chain, rule], ["b", "c"]) == ["c"]


def generation(pid, name):
    def attribute(kind, value):
        return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)

    return b"\0\0\0\1" + attribute(1, b"\0\0\0\7") + attribute(2, pid.to_bytes(4, "big")) + attribute(3, name)


def test_a_change_is_somebodys_and_ours_is_none():
    assert monitor.parse_generation(generation(1, b"nft\0")) == "nft (process 1)"
    assert monitor.parse_generation(generation(os.getpid(), b"x\0")) is None


def test_a_change_by_another_daemon_is_told_with_what_to_do():
    program = "import time; print(flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", program, "holdfastd"], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()  # an exec shows no command line in its first moment
        found = monitor.parse_generation(generation(other.pid, b"python\0"))
    finally:
        other.kill()
        other.communicate()

    assert found is not None
    assert found.startswith(f"another holdfastd (process {other.pid}; two of them in one network namespace")
