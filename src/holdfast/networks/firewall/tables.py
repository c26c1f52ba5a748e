# SPDX-License-Identifier: Apache-2.0
"""The tables in the kernel: every method is one transaction; what they hold is planned by `plan`.

Text goes through libnftables, single elements of published ports as raw netlink messages (0.01 ms, however many there
are). Called by the controller; `NoFirewall` stands in for `--iptables=false`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netlink, nfelement
from holdfast.kernel.nftables import Nftables, NftablesError
from holdfast.networks.firewall import foreign, plan
from holdfast.networks.firewall.neighbours import Neighbours
from holdfast.networks.firewall.plan import Elements
from holdfast.networks.firewall.shapes import FRAMES, PACKETS, USER_CHAIN, TableShape
from holdfast.networks.firewall.stale_flows import StaleFlows
from holdfast.networks.firewall.values import BridgeRules, Identity, LinkRule, PortRule

_MESSAGE_ELEMENTS = 400
"""A message has less than 64 KB for them."""


class OutOfStep(errors.Internal):
    """The table in the kernel is not the one that we made: somebody changed or flushed it."""


class Firewall:
    """Raises Internal with nothing changed. `unruled`: see `plan.render_table`."""

    __slots__ = ("_elements", "_flows", "_interfaces", "_neighbours", "_nftables", "_right", "_table", "_unruled")

    def __init__(
        self, nftables: Nftables, elements: netlink.Socket, table: str = "holdfast", *, unruled: str = ""
    ) -> None:
        self._nftables = nftables
        self._elements = elements
        self._flows = StaleFlows()
        self._table = table
        self._unruled = unruled
        self._right: dict[str, tuple[list[str], frozenset[tuple[str, int]]]] = {}
        self._interfaces: set[str] = set()
        families = {"ipv4": (foreign.IPV6,), "ipv6": (foreign.IPV4,)}.get(unruled, foreign.FAMILIES)
        self._neighbours = Neighbours(nftables, families)

    @property
    def lookout_seconds(self) -> float | None:
        """How soon somebody should `look`, if ever."""
        return self._neighbours.lookout_seconds

    def look(self) -> list[str]:
        """Puts right what the kernel does not tell of; returns what it was."""
        return self._neighbours.look(sorted(self._interfaces))

    def take_complaints(self) -> list[str]:
        """What other firewalls could not be told, each once."""
        return self._neighbours.take_complaints()

    def synchronise(
        self,
        bridges: Sequence[BridgeRules],
        ports: Sequence[PortRule],
        identities: Sequence[Identity] = (),
        links: Sequence[LinkRule] = (),
        *,
        is_router: bool,
        is_router6: bool = True,
    ) -> list[str]:
        """Makes the tables what they must be; returns what was not so, none when all was right."""
        wanted = plan.plan_elements(bridges, ports, identities, links)
        self._interfaces = {bridge.interface for bridge in bridges}
        static = plan.render_table(
            PACKETS, self._table, is_router=is_router, is_router6=is_router6, unruled=self._unruled
        )
        found = self._put_right(PACKETS, static, wanted)
        if identities or self._list(FRAMES):
            found += self._put_right(FRAMES, plan.render_table(FRAMES, self._table), wanted)
        return found + self._neighbours.open_for(sorted(self._interfaces))

    def publish(self, ports: Sequence[PortRule]) -> None:
        """Opens ports, all or none; raises OutOfStep when the table is not what it should be: synchronise then."""
        try:
            nfelement.change(self._elements, *_raw_additions(self._table, ports))
        except OSError as error:
            raise OutOfStep(f"failed to publish ports in nftables table {self._table}: {error.strerror}") from error
        self._flows.after_opening(ports)

    def withdraw(self, ports: Sequence[PortRule]) -> None:
        """Closes ports; those that are not there any more do not matter."""
        for port in ports:
            name, key, _value = raw_element(port)
            try:
                nfelement.change(self._elements, nfelement.delete(self._table, name, [key]))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise errors.Internal(
                        f"failed to withdraw port {port.host_port} in nftables table {self._table}: {error.strerror}"
                    ) from error
        self._flows.after_closing(ports)

    def add_bridge(self, bridge: BridgeRules) -> None:
        self._change({}, plan.plan_elements((bridge,), ()))
        self._interfaces.add(bridge.interface)
        self._neighbours.open_for(sorted(self._interfaces))

    def remove_bridge(self, bridge: BridgeRules) -> None:
        self._remove(plan.plan_elements((bridge,), ()))
        self._interfaces.discard(bridge.interface)
        self._neighbours.forget(bridge.interface, sorted(self._interfaces))

    def bind(self, identity: Identity) -> None:
        """From now on that bridge port speaks with its own addresses only. Raises Unsupported without bridge rules."""
        wanted = plan.plan_elements((), (), (identity,))
        try:
            if not self._list(FRAMES):
                self._nftables.run("\n".join(plan.render_table(FRAMES, self._table)))
        except NftablesError as error:
            raise errors.Unsupported(f"this kernel has no nftables for bridges: {error}") from error
        self._change({}, wanted)

    def unbind(self, identity: Identity) -> None:
        """Forgets it; idempotent."""
        self._remove(plan.plan_elements((), (), (identity,)))

    def link(self, links: Sequence[LinkRule]) -> None:
        """Opens ports between containers."""
        self._change({}, plan.plan_elements((), (), (), links))

    def unlink(self, links: Sequence[LinkRule]) -> None:
        """Closes them again; idempotent."""
        if not links:
            return
        self._remove(plan.plan_elements((), (), (), links))

    def close(self) -> None:
        self._flows.close()
        self._nftables.close()
        self._elements.close()

    def _put_right(self, shape: TableShape, static: list[str], wanted: Elements) -> list[str]:
        objects = self._list(shape)
        present = plan.parse_elements(shape, objects)
        wanted = {name: wanted[name] for name in shape.sets}
        changes = plan.plan_changes(self._table, present, wanted)
        marks = plan.parse_marks(objects, shape)
        if not changes and marks and (static, marks) == self._right.get(shape.family):
            return []
        try:
            self._nftables.run("\n".join(static + changes))
        except NftablesError:
            self._replace(shape, static, plan.plan_changes(self._table, {}, wanted))
        was_known = shape.family in self._right
        self._right[shape.family] = (static, plan.parse_marks(self._list(shape), shape))
        if not changes and was_known:
            return [f"rules of table {shape.family} {self._table}"]
        return changes

    def _replace(self, shape: TableShape, static: list[str], additions: list[str]) -> None:
        """A table of another shape (an older version's) is replaced whole, in one transaction, but for the user's."""
        where = f"{shape.family} {self._table}"
        try:
            text = self._nftables.list_text(f"list chain {where} {USER_CHAIN}") if shape is PACKETS else ""
        except NftablesError:
            text = ""
        kept = [f"add rule {where} {USER_CHAIN} {rule}" for rule in chain_rules(text)]
        self._run([static[0], f"delete table {where}", *static, *kept, *additions])

    def _remove(self, unwanted: Elements) -> None:
        try:
            self._nftables.run("\n".join(plan.plan_changes(self._table, unwanted, {})))
        except NftablesError as error:
            if not error.is_missing:
                raise errors.Internal(f"failed to change the firewall: {error}") from error
            present = {name: texts for shape in (PACKETS, FRAMES) for name, texts in self._read(shape).items()}
            self._change({name: texts & present.get(name, set()) for name, texts in unwanted.items()}, {})

    def _change(self, current: Elements, wanted: Elements) -> None:
        commands = plan.plan_changes(self._table, current, wanted)
        if commands:
            self._run(commands)

    def _run(self, commands: list[str]) -> None:
        try:
            self._nftables.run("\n".join(commands))
        except NftablesError as error:
            raise errors.Internal(f"failed to change the firewall: {error}") from error

    def _read(self, shape: TableShape) -> Elements:
        return plan.parse_elements(shape, self._list(shape))

    def _list(self, shape: TableShape) -> list[dict[str, object]]:
        try:
            return self._nftables.list_json(f"list table {shape.family} {self._table}")
        except NftablesError as error:
            if error.is_missing:
                return []
            raise errors.Internal(f"failed to read the firewall: {error}") from error


class NoFirewall:
    """The administrator makes the rules."""

    __slots__ = ()
    lookout_seconds = None

    def look(self) -> list[str]:
        return []

    take_complaints = look

    def synchronise(
        self,
        bridges: Sequence[BridgeRules],
        ports: Sequence[PortRule],
        identities: Sequence[Identity] = (),
        links: Sequence[LinkRule] = (),
        *,
        is_router: bool,
        is_router6: bool = True,
    ) -> list[str]:
        return []

    def publish(self, ports: Sequence[PortRule]) -> None:
        """Nothing is opened."""

    withdraw = publish

    def add_bridge(self, bridge: BridgeRules) -> None:
        """Nothing is ruled."""

    remove_bridge = add_bridge

    def bind(self, identity: Identity) -> None:
        """Nobody is watched."""

    unbind = bind

    def link(self, links: Sequence[LinkRule]) -> None:
        """Nothing stands between containers."""

    unlink = link

    def close(self) -> None:
        """Holds nothing."""


def raw_element(port: PortRule) -> tuple[str, bytes, bytes]:
    """The map, key and value of a published port as the kernel has them."""
    name, _, _ = plan.port_element(port)
    protocol = bytes([plan.PROTOCOL_NUMBERS[port.protocol]])
    address, inner = nfelement.address(port.container_ip), nfelement.port(port.container_port)
    if port.is_routed:
        return name, nfelement.concatenate(address, protocol, inner), b""
    value = nfelement.concatenate(address, inner)
    service = (protocol, nfelement.port(port.host_port))
    if name.endswith("_any"):
        return name, nfelement.concatenate(*service), value
    return name, nfelement.concatenate(nfelement.address(port.host_ip), *service), value


def _raw_additions(table: str, ports: Sequence[PortRule]) -> list[netlink.Request]:
    """As few messages as hold them: each is answered, and the answers to a thousand would not fit the socket."""
    found: dict[str, list[tuple[bytes, bytes]]] = {}
    for port in ports:
        name, key, value = raw_element(port)
        found.setdefault(name, []).append((key, value))
    return [
        nfelement.add(table, name, elements[first : first + _MESSAGE_ELEMENTS])
        for name, elements in found.items()
        for first in range(0, len(elements), _MESSAGE_ELEMENTS)
    ]


def chain_rules(listing: str) -> list[str]:
    """The rules of one chain out of nft's own text."""
    lines = [line.strip() for line in listing.splitlines()]
    return [line for line in lines if line and not line.endswith("{") and line != "}" and not line.startswith("type ")]
