# SPDX-License-Identifier: Apache-2.0
"""Lives beside iptables: where its FORWARD chain drops what no rule of it decides, our bridges are let through. Pure.

A packet must be accepted by every table, so a foreign policy of DROP (ufw's, dockerd's) would cut all containers off
though nobody ever said a word about them. Our answer is one jump at the *end* of FORWARD, behind whatever rules its
owner has, to a chain that accepts our bridges: explicit rules of the administrator win, only the policy does not. What
may pass at all stays the business of our own table, whose drop is final. Called by `tables`; iptables-nft shows the
chain as any other. Other programs' chains (firewalld, a hand-written nftables.conf) are left alone; see docs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHAIN = "HOLDFAST-FORWARD"
_TABLE, _FORWARD = "filter", "FORWARD"
_FAMILIES = ("ip", "ip6")


def questions(chains: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to list beside the chains themselves: the whole of a foreign rule set can be very long."""
    found = {(chain["family"], chain["name"]): chain for chain in (item.get("chain") for item in chains)
             if chain and chain["table"] == _TABLE and chain["name"] in (_FORWARD, CHAIN)}  # fmt: skip
    return [
        f"list chain {family} {_TABLE} {name}"
        for family, name in found
        if family in _FAMILIES and ((family, CHAIN) in found or found[family, _FORWARD].get("policy") == "drop")
    ]


def plan_changes(listing: Sequence[Mapping[str, Any]], interfaces: Sequence[str]) -> list[str]:
    """The commands that put iptables' FORWARD chains right; `listing` is nft's JSON for chains and `questions`."""
    commands: list[str] = []
    for family in _FAMILIES:
        chains = [item["chain"] for item in listing if _is_in(item.get("chain"), family)]
        drops = any(chain["name"] == _FORWARD and chain.get("policy") == "drop" for chain in chains)
        has_ours = any(chain["name"] == CHAIN for chain in chains)
        if not drops and not has_ours:
            continue
        rules = [item["rule"] for item in listing if _is_in(item.get("rule"), family)]
        present = _accepted(rules)
        wanted = {(key, name) for name in interfaces for key in ("iifname", "oifname")} if drops else set[Any]()
        where = f"{family} {_TABLE}"
        if not has_ours:
            commands.append(f"add chain {where} {CHAIN}")
        if present != wanted:
            commands.append(f"flush chain {where} {CHAIN}")
            commands += [
                f'add rule {where} {CHAIN} {key} "{name}" counter accept'
                for name in interfaces
                for key in ("iifname", "oifname")
                if wanted
            ]
        if not any(rule["chain"] == _FORWARD and _jumps(rule) for rule in rules):
            commands.append(f"add rule {where} {_FORWARD} counter jump {CHAIN}")
    return commands


def _is_in(described: Mapping[str, Any] | None, family: str) -> bool:
    return described is not None and (described["family"], described["table"]) == (family, _TABLE)


def _accepted(rules: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """What our chain accepts now; a rule that is not ours spoils it."""
    found: set[tuple[str, str]] = set()
    for rule in rules:
        if rule["chain"] != CHAIN:
            continue
        matches = [each["match"] for each in rule["expr"] if "match" in each]
        if len(matches) != 1 or not any("accept" in each for each in rule["expr"]):
            found.add(("", ""))
            continue
        left: Any = matches[0]["left"]
        found.add((left.get("meta", {}).get("key", ""), str(matches[0]["right"])))
    return found


def _jumps(rule: Mapping[str, Any]) -> bool:
    return any(each.get("jump", {}).get("target") == CHAIN for each in rule["expr"])
