# SPDX-License-Identifier: Apache-2.0
"""iptables-legacy's FORWARD chains as `foreign` plans them: how they are read, and the changes in iptables-save's words.

Pure but for `put_right`. Called by `tables`.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.kernel import xtables
from holdfast.networks.firewall import foreign
from holdfast.networks.firewall.foreign import CHAIN, FORWARD, IN, OUT, REFUSE, TABLE, Changes, Match, Rule

_REFUSALS = ("DROP", "REJECT")
_OPTIONS = {IN: "-i", OUT: "-o"}


def put_right(interfaces: Sequence[str], families: Sequence[str] = foreign.FAMILIES) -> list[str]:
    """Reads and changes the families' chains; returns what was changed. Raises OSError."""
    done: list[str] = []
    for family in families:
        table = xtables.read(family)
        if table is not None and FORWARD in table:
            lines = render(foreign.plan(read_forward(table), interfaces))
            if lines:
                xtables.change(family, TABLE, lines)
                done += lines
    return done


def read_forward(table: xtables.Table) -> foreign.Forward:
    """The chain in `foreign`'s words."""
    forward = table.chain(FORWARD)
    rules = tuple(Rule(_target(rule)) for rule in forward.rules)
    return foreign.Forward(
        drops=forward.policy == "DROP",
        rules=rules,
        refusing=frozenset(
            rule.target for rule in rules if rule.target in table and _refuses(table.chain(rule.target))
        ),
        accepted=frozenset(map(_accepted, table.chain(CHAIN).rules)) if CHAIN in table else None,
    )


def render(changes: Changes) -> list[str]:
    """The changes in iptables-save's words. Naming a chain makes it, or empties it."""
    lines = [f":{CHAIN} - [0:0]"] if changes.make or changes.content is not None else []
    lines += [f"-A {CHAIN} {_OPTIONS[side]} {name} -j ACCEPT" for side, name in changes.content or ()]
    lines += [f"-D {FORWARD} {index + 1}" for index in reversed(changes.removed)]
    if changes.before is not None:
        place = changes.before + 1 - sum(index < changes.before for index in changes.removed)
        lines.append(f"-I {FORWARD} {place} -j {CHAIN}")
    return lines


def _refuses(chain: xtables.Chain) -> bool:
    return bool(chain.rules) and _target(chain.rules[0]) == REFUSE


def _target(rule: xtables.Rule) -> str:
    if not rule.is_bare or rule.in_interface or rule.out_interface:
        return ""
    return REFUSE if rule.target in _REFUSALS else rule.target


def _accepted(rule: xtables.Rule) -> Match:
    """What a rule of our chain accepts; one that is not ours spoils it."""
    if not rule.is_bare or rule.target != "ACCEPT" or bool(rule.in_interface) is bool(rule.out_interface):
        return ("", "")
    return (IN, rule.in_interface) if rule.in_interface else (OUT, rule.out_interface)
