# SPDX-License-Identifier: Apache-2.0
"""Lives beside iptables: where its FORWARD chain refuses what no rule of it lets pass, our bridges are let through. Pure.

A packet must be accepted by every table, so a foreign policy of DROP (ufw's, dockerd's), or a last rule that refuses all,
would cut all containers off though nobody ever said a word about them. Our answer is one jump at the *end* of FORWARD,
behind whatever rules its owner has and before the one that refuses everything, to a chain that accepts our bridges:
explicit rules of the administrator win, only the policy does not. What may pass at all stays the business of our own
table, whose drop is final. `plan` knows neither nft nor iptables; here is also how iptables-nft's chains are read and
changed, as nft's JSON and commands (`legacy` does the same for iptables-legacy). Other programs' chains (a hand-written
nftables.conf) are left alone; see docs. Called by `tables`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CHAIN = "HOLDFAST-FORWARD"
TABLE, FORWARD = "filter", "FORWARD"
IPV4, IPV6 = "ip", "ip6"
FAMILIES = (IPV4, IPV6)
IN, OUT = "iifname", "oifname"

Match = tuple[str, str]
"""Which side of a packet's way, and the interface there."""


class Rule(NamedTuple):
    """A rule of FORWARD, as far as it matters here: `target` (a chain, or "refuse") is known where nothing limits it."""

    target: str
    handle: int = 0


class Forward(NamedTuple):
    """One family's FORWARD chain: `refusing` are the chains that refuse all; `accepted` None: our chain is not there."""

    drops: bool
    rules: tuple[Rule, ...] = ()
    refusing: frozenset[str] = frozenset()
    accepted: frozenset[Match] | None = None


class Changes(NamedTuple):
    """What to do, in this order. `removed` and `before` are indexes of FORWARD's rules; `before` None: no new jump."""

    make: bool = False
    content: tuple[Match, ...] | None = None
    removed: tuple[int, ...] = ()
    before: int | None = None


REFUSE = "refuse"
NOTHING = Changes()


def plan(forward: Forward, interfaces: Sequence[str]) -> Changes:
    """What leads from that chain to one that our bridges pass."""
    end = next((index for index, rule in enumerate(forward.rules) if _refuses(rule, forward.refusing)), None)
    is_closed = forward.drops or end is not None
    if not is_closed and forward.accepted is None:
        return NOTHING
    wanted = tuple((side, name) for name in interfaces for side in (IN, OUT)) if is_closed else ()
    last = len(forward.rules) if end is None else end
    jumps = [index for index, rule in enumerate(forward.rules) if rule.target == CHAIN]
    is_placed = jumps == [last - 1] or (not is_closed and bool(jumps))
    return Changes(
        make=forward.accepted is None,
        content=None if forward.accepted == frozenset(wanted) else wanted,
        removed=() if is_placed else tuple(jumps),
        before=None if is_placed or not is_closed else last,
    )


def _refuses(rule: Rule, refusing: frozenset[str]) -> bool:
    return rule.target == REFUSE or rule.target in refusing


def questions(chains: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to list beside the chains themselves: the whole of a foreign rule set can be very long."""
    named = [item["chain"] for item in chains if "chain" in item]
    return [
        f"list chain {chain['family']} {TABLE} {chain['name']}"
        for chain in named
        if chain["table"] == TABLE and chain["family"] in FAMILIES and chain["name"] in (FORWARD, CHAIN)
    ]


def further_questions(listing: Sequence[Mapping[str, Any]]) -> list[str]:
    """The chains that FORWARD jumps to: they may be what refuses everything."""
    return [
        f"list chain {family} {TABLE} {rule.target}"
        for family in FAMILIES
        for rule in _rules(listing, family, FORWARD)
        if rule.target not in ("", REFUSE, CHAIN)
    ]


def read_forward(listing: Sequence[Mapping[str, Any]], family: str) -> Forward:
    """One family's chain out of nft's JSON for chains, `questions` and `further_questions`."""
    chains = [item["chain"] for item in listing if _is_in(item.get("chain"), family)]
    has_ours = any(chain["name"] == CHAIN for chain in chains)
    names = {chain["name"] for chain in chains}
    return Forward(
        drops=any(chain["name"] == FORWARD and chain.get("policy") == "drop" for chain in chains),
        rules=tuple(_rules(listing, family, FORWARD)),
        refusing=frozenset(name for name in names if [rule.target for rule in _rules(listing, family, name)][:1] == [REFUSE]),
        accepted=_accepted(listing, family) if has_ours else None,
    )  # fmt: skip


def render(family: str, forward: Forward, changes: Changes) -> list[str]:
    """The changes as nft's commands."""
    where = f"{family} {TABLE}"
    commands = [f"add chain {where} {CHAIN}"] if changes.make else []
    if changes.content is not None:
        commands.append(f"flush chain {where} {CHAIN}")
        commands += [f'add rule {where} {CHAIN} {side} "{name}" counter accept' for side, name in changes.content]
    commands += [f"delete rule {where} {FORWARD} handle {forward.rules[index].handle}" for index in changes.removed]
    if changes.before == len(forward.rules):
        commands.append(f"add rule {where} {FORWARD} counter jump {CHAIN}")
    elif changes.before is not None:
        place = forward.rules[changes.before].handle
        commands.append(f"insert rule {where} {FORWARD} handle {place} counter jump {CHAIN}")
    return commands


def plan_changes(
    listing: Sequence[Mapping[str, Any]], interfaces: Sequence[str], families: Sequence[str] = FAMILIES
) -> list[str]:
    """The commands that put the FORWARD chains of iptables-nft right."""
    commands: list[str] = []
    for family in families:
        forward = read_forward(listing, family)
        commands += render(family, forward, plan(forward, interfaces))
    return commands


def _is_in(described: Mapping[str, Any] | None, family: str) -> bool:
    return described is not None and (described["family"], described["table"]) == (family, TABLE)


def _rules(listing: Sequence[Mapping[str, Any]], family: str, chain: str) -> list[Rule]:
    described = [item["rule"] for item in listing if _is_in(item.get("rule"), family)]
    return [Rule(_target(rule["expr"]), rule["handle"]) for rule in described if rule["chain"] == chain]


def _target(expressions: Sequence[Mapping[str, Any]]) -> str:
    """Where every packet goes that comes to a rule; empty when it is not for every packet, or goes nowhere."""
    found = ""
    for each in expressions:
        extension: Any = each.get("xt") or {}
        if "counter" in each or (extension.get("type"), extension.get("name")) == ("match", "comment"):
            continue
        if "jump" in each or "goto" in each:
            found = str((each.get("jump") or each["goto"])["target"])
        elif (
            "drop" in each or "reject" in each or (extension.get("type"), extension.get("name")) == ("target", "REJECT")
        ):
            found = REFUSE
        else:
            return ""
    return found


def _accepted(listing: Sequence[Mapping[str, Any]], family: str) -> frozenset[Match]:
    """What our chain accepts now; a rule that is not ours spoils it."""
    found: set[Match] = set()
    for rule in (item["rule"] for item in listing if _is_in(item.get("rule"), family)):
        if rule["chain"] != CHAIN:
            continue
        matches = [each["match"] for each in rule["expr"] if "match" in each]
        if len(matches) != 1 or not any("accept" in each for each in rule["expr"]):
            found.add(("", ""))
            continue
        left: Any = matches[0]["left"]
        found.add((left.get("meta", {}).get("key", ""), str(matches[0]["right"])))
    return frozenset(found)
