# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from holdfast.networks import firewall
from holdfast.networks.firewall import BridgeRules, PortRule

BRIDGE = BridgeRules(interface="holdfast0", subnet="172.17.0.0/16")


def rule(host_ip="0.0.0.0", host_port=8080, protocol="tcp"):
    return PortRule(
        protocol=protocol, host_ip=host_ip, host_port=host_port, container_ip="172.17.0.2", container_port=80
    )


def test_bridge_is_a_few_elements():
    assert firewall.plan_elements([BRIDGE], []) == {
        "bridges": {'"holdfast0"'},
        "talking": {'"holdfast0" . "holdfast0"'},
        "closed": set(),
        "masqueraded": {"172.17.0.0/16"},
        "ports": set(),
        "ports_any": set(),
    }
    shut = BridgeRules(interface="b", subnet="10.0.0.0/8", icc=False, internal=True, masquerade=False)
    planned = firewall.plan_elements([shut], [])
    assert (planned["talking"], planned["closed"], planned["masqueraded"]) == (set(), {'"b"'}, set())


def test_port_on_all_addresses_and_on_one_go_to_their_maps():
    planned = firewall.plan_elements([], [rule(), rule("127.0.0.1", 53, "udp")])

    assert planned["ports_any"] == {"tcp . 8080 : 172.17.0.2 . 80"}
    assert planned["ports"] == {"127.0.0.1 . udp . 53 : 172.17.0.2 . 80"}


def test_deletions_come_before_additions_and_name_only_the_key():
    old, new = firewall.plan_elements([], [rule()]), firewall.plan_elements([], [rule(host_port=8081)])

    assert firewall.plan_changes("t", old, new) == [
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
    old, new = firewall.plan_elements([], before), firewall.plan_elements([BRIDGE], after)

    assert firewall.plan_changes("t", new, new) == []
    commands = firewall.plan_changes("t", old, new)
    added = {
        element for line in commands if line.startswith("add") for element in line[line.index("{") + 2 : -2].split(", ")
    }
    assert added == set().union(*new.values()) - set().union(*old.values())


def test_only_a_host_that_we_made_a_router_drops_foreign_forwarding():
    ours = firewall.render_table("t", is_router=False)
    theirs = firewall.render_table("t", is_router=True)

    assert set(ours) - set(theirs) == {"add rule inet t forward drop"}


def test_static_part_empties_chains_and_keeps_maps():
    commands = firewall.render_table("t", is_router=True)

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

    assert firewall.parse_elements(objects) == firewall.plan_elements([BRIDGE], [rule(), rule("127.0.0.1", 53, "udp")])
