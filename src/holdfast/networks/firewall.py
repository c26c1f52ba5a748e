# SPDX-License-Identifier: Apache-2.0
"""The packet rules: one nftables table of our own, in which only sets and maps change.

Rules of this file: what the table says is rendered from values by pure functions (`render_*`, `plan_*`); `Firewall`
sends the text as one transaction, and single port elements raw. A network is a few set elements, a published port one
map element, so the static chains never change while the daemon lives.

How a packet travels:
* `guard` (raw): nothing that comes in through a bridge may speak to 127.0.0.0/8; the bridges have route_localnet, which
  the answers to connections from the host's own 127.0.0.1 need.
* `publish_in`, `publish_out` (nat): a connection to a published address and port of the host is led to its container.
  From outside 127.0.0.0/8 is never looked up, so a port published there cannot be reached by routing.
* `forward`: into a bridge goes what belongs to a known connection, what was led there by a published port, and
  what comes from the same bridge; all else is dropped, whatever other tables accept.
* `source` (nat): containers leave with the host's address; a container that reaches its own bridge through a published
  port, and the host's loopback, get the bridge's address, or the answer would not come back through the translation.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from holdfast import errors
from holdfast.kernel import netlink, nfelement
from holdfast.kernel.nftables import Nftables, NftablesError

Elements = dict[str, set[str]]
_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_PROTOCOL_NAMES = {str(number): name for name, number in _PROTOCOL_NUMBERS.items()}
_ANY = "0.0.0.0"

_SETS = {
    "bridges": "set {} {{ type ifname; }}",
    "talking": "set {} {{ type ifname . ifname; }}",
    "closed": "set {} {{ type ifname; }}",
    "masqueraded": "set {} {{ type ipv4_addr; flags interval; }}",
    "ports": "map {} {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}",
    "ports_any": "map {} {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}",
}
_KEY_PARTS = {"ports": 3, "ports_any": 2}
_CHAINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "guard": (
        "type filter hook prerouting priority raw; policy accept;",
        ("iifname @bridges ip daddr 127.0.0.0/8 drop", "iifname @bridges ip saddr 127.0.0.0/8 drop"),
    ),
    "publish_in": (
        "type nat hook prerouting priority dstnat; policy accept;",
        ("meta nfproto != ipv4 return", "ip daddr 127.0.0.0/8 return", "fib daddr type != local return"),
    ),
    "publish_out": (
        "type nat hook output priority -100; policy accept;",
        ("meta nfproto != ipv4 return", "fib daddr type != local return"),
    ),
    "forward": (
        "type filter hook forward priority filter; policy accept;",
        (
            "ct state established,related accept",
            "iifname . oifname @talking accept",
            "iifname @closed drop",
            "oifname @closed drop",
            "oifname @bridges ct status dnat accept",
            "oifname @bridges drop",
            "iifname @bridges accept",
        ),
    ),
    "source": (
        "type nat hook postrouting priority srcnat; policy accept;",
        (
            "oifname != @bridges ip saddr @masqueraded masquerade",
            "oifname @bridges ip saddr 127.0.0.0/8 masquerade",
            "oifname @bridges ct status dnat ip saddr @masqueraded masquerade",
        ),
    ),
}
_TRANSLATE = (
    "dnat ip to ip daddr . meta l4proto . th dport map @ports",
    "dnat ip to meta l4proto . th dport map @ports_any",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRules:
    """What the rules must know of a bridge network."""

    interface: str
    subnet: str
    icc: bool = True
    internal: bool = False
    masquerade: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """One published port."""

    protocol: str
    host_ip: str
    host_port: int
    container_ip: str
    container_port: int


def plan_elements(bridges: Iterable[BridgeRules], ports: Iterable[PortRule]) -> Elements:
    """What the sets and maps must hold, as element texts."""
    wanted: Elements = {name: set() for name in _SETS}
    for bridge in bridges:
        wanted["bridges"].add(f'"{bridge.interface}"')
        if bridge.icc:
            wanted["talking"].add(f'"{bridge.interface}" . "{bridge.interface}"')
        if bridge.internal:
            wanted["closed"].add(f'"{bridge.interface}"')
        if bridge.masquerade:
            wanted["masqueraded"].add(bridge.subnet)
    for port in ports:
        name, element = _port_element(port)
        wanted[name].add(element)
    return wanted


def _port_element(port: PortRule) -> tuple[str, str]:
    target = f"{port.container_ip} . {port.container_port}"
    if port.host_ip == _ANY:
        return "ports_any", f"{port.protocol} . {port.host_port} : {target}"
    return "ports", f"{port.host_ip} . {port.protocol} . {port.host_port} : {target}"


def plan_changes(table: str, current: Elements, wanted: Elements) -> list[str]:
    """The commands that lead from one content of the sets to another; none when they are equal."""
    commands: list[str] = []
    for verb, left, right in (("delete", current, wanted), ("add", wanted, current)):
        for name in _SETS:
            difference = sorted(left.get(name, set()) - right.get(name, set()))
            if verb == "delete":
                difference = [element.partition(" : ")[0] for element in difference]
            if difference:
                commands.append(f"{verb} element inet {table} {name} {{ {', '.join(difference)} }}")
    return commands


def render_table(table: str, *, is_router: bool) -> list[str]:
    """The commands that make the table, or put its static part right; sets and maps keep what they hold.

    `is_router` false: it was us who switched forwarding on, so what concerns no bridge is not forwarded.
    """
    commands = [f"add table inet {table}"]
    for name, text in _SETS.items():
        kind, _, rest = text.partition(" ")
        commands.append(f"add {kind} inet {table} {rest.format(name)}")
    for name, (hook, rules) in _CHAINS.items():
        commands += [f"add chain inet {table} {name} {{ {hook} }}", f"flush chain inet {table} {name}"]
        if name.startswith("publish"):
            rules = (*rules, *_TRANSLATE)
        elif name == "forward" and not is_router:
            rules = (*rules, "drop")
        commands += [f"add rule inet {table} {name} {rule}" for rule in rules]
    return commands


def parse_elements(objects: Sequence[Mapping[str, Any]]) -> Elements:
    """Reads the sets and maps out of nft's JSON, in the words of `plan_elements`."""
    found: Elements = {}
    for item in objects:
        described = item.get("set") or item.get("map")
        if not described or described["name"] not in _SETS:
            continue
        name: str = described["name"]
        elements = described.get("elem", [])
        if "map" in item:
            found[name] = {f"{_text(name, key)} : {_text(name, value)}" for key, value in elements}
        else:
            found[name] = {_text(name, element) for element in elements}
    return found


def _text(name: str, value: Any) -> str:
    """One element, or one side of a map element, of set `name`."""
    if not isinstance(value, dict):
        return f'"{value}"' if name in ("bridges", "talking", "closed") else str(value)
    described = cast("dict[str, Any]", value)
    if "prefix" in described:
        prefix: dict[str, Any] = described["prefix"]
        return f"{prefix['addr']}/{prefix['len']}"
    parts = [_text(name, part) for part in described["concat"]]
    if len(parts) == _KEY_PARTS.get(name):
        parts[-2] = _PROTOCOL_NAMES.get(parts[-2], parts[-2])
    return " . ".join(parts)


def _raw_port(port: PortRule) -> tuple[str, bytes, bytes]:
    """The map, key and value of a published port as the kernel has them."""
    service = (bytes([_PROTOCOL_NUMBERS[port.protocol]]), nfelement.port(port.host_port))
    value = nfelement.concatenate(nfelement.ipv4(port.container_ip), nfelement.port(port.container_port))
    if port.host_ip == _ANY:
        return "ports_any", nfelement.concatenate(*service), value
    return "ports", nfelement.concatenate(nfelement.ipv4(port.host_ip), *service), value


def _raw_element(table: str, port: PortRule) -> netlink.Request:
    name, key, value = _raw_port(port)
    return nfelement.add(table, name, [(key, value)])


class OutOfStep(errors.Internal):
    """The table in the kernel is not the one that we made: somebody changed or flushed it."""


class Firewall:
    """The table in the kernel. Every method is one transaction; raises Internal with nothing changed."""

    __slots__ = ("_elements", "_nftables", "_table")

    def __init__(self, nftables: Nftables, elements: netlink.Socket, table: str = "holdfast") -> None:
        self._nftables = nftables
        self._elements = elements
        self._table = table

    def synchronise(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule], *, is_router: bool) -> list[str]:
        """Makes the table what it must be; returns the element commands that it took, none when all was there."""
        wanted = plan_elements(bridges, ports)
        static = render_table(self._table, is_router=is_router)
        changes = plan_changes(self._table, self._read(), wanted)
        try:
            self._nftables.run("\n".join(static + changes))
        except NftablesError:
            # a table of another shape (an older version's): replace it whole, still in one transaction
            changes = plan_changes(self._table, {}, wanted)
            replace = [static[0], f"delete table inet {self._table}"]
            self._run(replace + static + changes)
        return changes

    def publish(self, ports: Sequence[PortRule]) -> None:
        """Opens ports, all or none; raises OutOfStep when the table is not what it should be: synchronise then."""
        try:
            nfelement.change(self._elements, *[_raw_element(self._table, port) for port in ports])
        except OSError as error:
            raise OutOfStep(f"failed to publish ports in nftables table {self._table}: {error.strerror}") from error

    def withdraw(self, ports: Sequence[PortRule]) -> None:
        """Closes ports; those that are not there any more do not matter."""
        for port in ports:
            name, key, _value = _raw_port(port)
            try:
                nfelement.change(self._elements, nfelement.delete(self._table, name, [key]))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise errors.Internal(
                        f"failed to withdraw port {port.host_port} in nftables table {self._table}: {error.strerror}"
                    ) from error

    def add_bridge(self, bridge: BridgeRules) -> None:
        self._change({}, plan_elements((bridge,), ()))

    def remove_bridge(self, bridge: BridgeRules) -> None:
        self._remove(plan_elements((bridge,), ()))

    def close(self) -> None:
        self._nftables.close()
        self._elements.close()

    def _remove(self, unwanted: Elements) -> None:
        try:
            self._nftables.run("\n".join(plan_changes(self._table, unwanted, {})))
        except NftablesError as error:
            if not error.is_missing:
                raise errors.Internal(f"failed to change the firewall: {error}") from error
            present = self._read()
            self._change({name: texts & present.get(name, set()) for name, texts in unwanted.items()}, {})

    def _change(self, current: Elements, wanted: Elements) -> None:
        commands = plan_changes(self._table, current, wanted)
        if commands:
            self._run(commands)

    def _run(self, commands: list[str]) -> None:
        try:
            self._nftables.run("\n".join(commands))
        except NftablesError as error:
            raise errors.Internal(f"failed to change the firewall: {error}") from error

    def _read(self) -> Elements:
        try:
            return parse_elements(self._nftables.list_json(f"list table inet {self._table}"))
        except NftablesError as error:
            if error.is_missing:
                return {}
            raise errors.Internal(f"failed to read the firewall: {error}") from error


class NoFirewall:
    """The stand-in for `--iptables=false`: the administrator makes the rules."""

    __slots__ = ()

    def synchronise(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule], *, is_router: bool) -> list[str]:
        return []

    def publish(self, ports: Sequence[PortRule]) -> None:
        """Nothing is opened."""

    withdraw = publish

    def add_bridge(self, bridge: BridgeRules) -> None:
        """Nothing is ruled."""

    remove_bridge = add_bridge

    def close(self) -> None:
        """Holds nothing."""
