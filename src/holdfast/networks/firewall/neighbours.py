# SPDX-License-Identifier: Apache-2.0
"""The other firewalls of this host, told of our bridges: iptables-nft, iptables-legacy, firewalld.

What they must let through is no reason for us to fail: they may be anything, and what went wrong is a complaint, made
once. Changes of nftables are told by the kernel (`monitor`); those of iptables-legacy are not, and a firewalld that has
just been started answers late, so now and then somebody has to look. Called by `tables`; `foreign`, `legacy` and
`firewalld` know how.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.kernel import xtables
from holdfast.kernel.nftables import Nftables, NftablesError
from holdfast.networks.firewall import firewalld, foreign, legacy
from holdfast.networks.firewall.firewalld import FirewalldError

_LOOKOUT_SECONDS = 3.0


class Neighbours:
    """In the network namespace of the calling thread; of the families that are not ours to rule nobody is told."""

    __slots__ = ("_complaints", "_families", "_has_firewalld", "_is_late", "_nftables", "_told")

    def __init__(self, nftables: Nftables, families: Sequence[str] = foreign.FAMILIES) -> None:
        self._nftables = nftables
        self._families = families
        self._has_firewalld = False
        self._is_late = False
        self._complaints: dict[str, str] = {}
        self._told: dict[str, str] = {}

    @property
    def lookout_seconds(self) -> float | None:
        """None: what matters will be told. Costs a stat."""
        return _LOOKOUT_SECONDS if self._is_late or xtables.is_possible() else None

    def take_complaints(self) -> list[str]:
        """What does not work now and has not been told yet."""
        new = [text for who, text in self._complaints.items() if self._told.get(who) != text]
        self._told = dict(self._complaints)
        return new

    def look(self, interfaces: Sequence[str]) -> list[str]:
        """Puts right what nobody tells of; returns what it was. A few reads when there is nothing."""
        late = self._open_nftables(interfaces) if self._is_late else []
        return late + self._open_legacy(interfaces)

    def open_for(self, interfaces: Sequence[str]) -> list[str]:
        """Makes them let these pass; returns what was changed."""
        return [*self._open_nftables(interfaces), *self._open_legacy(interfaces)]

    def forget(self, interface: str, others: Sequence[str]) -> None:
        """An interface has gone; these are still there."""
        self.open_for(others)
        if self._has_firewalld:
            try:
                firewalld.dismiss(interface)
            except FirewalldError:
                return  # it knows a name that nobody has

    def _open_nftables(self, interfaces: Sequence[str]) -> list[str]:
        self._complaints.pop("iptables", None)
        try:
            listing = self._nftables.list_json("list chains")
            of_firewalld = firewalld.questions(listing) if foreign.IPV4 in self._families else []
            for question in foreign.questions(listing) + of_firewalld:
                listing += self._nftables.list_json(question)
            for question in foreign.further_questions(listing):
                listing += self._nftables.list_json(question)
            commands = foreign.plan_changes(listing, interfaces, self._families)
            if commands:
                self._nftables.run("\n".join(commands))
        except NftablesError as error:
            self._complaints["iptables"] = f"the rules of iptables could not be told of our bridges: {error}"
            return []
        self._has_firewalld = bool(of_firewalld)
        return commands + self._ask_firewalld(firewalld.without_zone(listing, interfaces) if of_firewalld else [])

    def _ask_firewalld(self, interfaces: Sequence[str]) -> list[str]:
        self._complaints.pop("firewalld", None)
        self._is_late = False
        try:
            admitted = firewalld.admit(interfaces)
        except FirewalldError as error:
            self._is_late = True
            self._complaints["firewalld"] = f"firewalld could not be told of our bridges: {error}"
            return []
        return [f"interface {name} is in firewalld's zone {firewalld.ZONE}" for name in admitted]

    def _open_legacy(self, interfaces: Sequence[str]) -> list[str]:
        self._complaints.pop("legacy", None)
        try:
            return legacy.put_right(interfaces, self._families)
        except OSError as error:
            reason = error.strerror or error
            self._complaints["legacy"] = f"the rules of iptables-legacy could not be told of our bridges: {reason}"
            return []
