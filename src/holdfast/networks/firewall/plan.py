# SPDX-License-Identifier: Apache-2.0
"""From values to element texts, from two states to the commands between them, and from nft's JSON back. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from holdfast.networks.firewall.shapes import IFNAME, PACKETS, PROTOCOL, SHAPES, TableShape
from holdfast.networks.firewall.values import NAT, ROUTED, UNPROTECTED, BridgeRules, Identity, LinkRule, PortRule

Elements = dict[str, set[str]]
"""The content of every set and map, by its name: nft's own texts, maps as `KEY : VALUE`."""
PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_PROTOCOL_NAMES = {str(number): name for name, number in PROTOCOL_NUMBERS.items()}
_ANY = ("0.0.0.0", "::")


def plan_elements(
    bridges: Iterable[BridgeRules],
    ports: Iterable[PortRule],
    identities: Iterable[Identity] = (),
    links: Iterable[LinkRule] = (),
) -> Elements:
    """What the sets and maps must hold."""
    wanted: Elements = {name: set() for shape in SHAPES for name in shape.sets}
    for bridge in bridges:
        for name, element in _bridge_elements(bridge):
            wanted[name].add(element)
    for port in ports:
        name, key, value = port_element(port)
        wanted[name].add(f"{key} : {value}" if value else key)
    for identity in identities:
        wanted["guarded"].add(f'"{identity.interface}"')
        wanted["macs"].add(f'"{identity.interface}" . {identity.mac.lower()}')
        if identity.ipv4:
            wanted["bindings"].add(f'"{identity.interface}" . {identity.ipv4}')
        if identity.ipv6:
            wanted["bindings6"].add(f'"{identity.interface}" . {_canonical(identity.ipv6)}')
    for link in links:
        pair = f'"{link.interface}" . {link.source_ip} . {link.container_ip}'
        wanted["linked"].add(f"{pair} . {link.protocol} . {link.container_port}")
    return wanted


def _bridge_elements(bridge: BridgeRules) -> list[tuple[str, str]]:
    name = f'"{bridge.interface}"'
    found = [("bridges", name)]
    if bridge.icc:
        found.append(("talking", f"{name} . {name}"))
    if bridge.internal:
        found.append(("closed", name))
    found += [("talking", f'"{trusted}" . {name}') for trusted in bridge.trusted]
    for subnet in bridge.subnets:
        network = ipaddress.ip_network(subnet)
        is_ipv6 = network.version == 6
        mode, leave_as = (bridge.mode6, bridge.leave_as6) if is_ipv6 else (bridge.mode, bridge.leave_as)
        suffix = "6" if is_ipv6 else ""
        if mode == UNPROTECTED:
            found.append((f"open{suffix or 4}", name))
        if mode == ROUTED:
            found.append((f"pinged{suffix or 4}", name))
        if bridge.masquerade and mode in (NAT, UNPROTECTED):
            if leave_as:
                found.append((f"leaving{suffix}", f"{network} : {_canonical(leave_as)}"))
            found.append((f"masqueraded{suffix}", str(network)))
    return found


def port_element(port: PortRule) -> tuple[str, str, str]:
    """The set or map of a published port, its key and its value."""
    suffix = "6" if ":" in port.container_ip else ""
    target = _canonical(port.container_ip)
    if port.is_routed:
        return f"routed{suffix or 4}", f"{target} . {port.protocol} . {port.container_port}", ""
    value = f"{target} . {port.container_port}"
    if port.host_ip in _ANY:
        return f"ports{suffix}_any", f"{port.protocol} . {port.host_port}", value
    return f"ports{suffix}", f"{_canonical(port.host_ip)} . {port.protocol} . {port.host_port}", value


def _canonical(address: str) -> str:
    return str(ipaddress.ip_address(address)) if ":" in address else address


def plan_changes(table: str, current: Elements, wanted: Elements) -> list[str]:
    """The commands that lead from one content of the sets to another; none when they are equal."""
    commands: list[str] = []
    for verb, left, right in (("delete", current, wanted), ("add", wanted, current)):
        for shape in SHAPES:
            for name in shape.sets:
                difference = sorted(left.get(name, set()) - right.get(name, set()))
                if verb == "delete":
                    difference = [element.partition(" : ")[0] for element in difference]
                if difference:
                    commands.append(f"{verb} element {shape.family} {table} {name} {{ {', '.join(difference)} }}")
    return commands


def render_table(
    shape: TableShape, table: str, *, is_router: bool = True, is_router6: bool = True, unruled: str = ""
) -> list[str]:
    """The commands that make a table, or put its static part right; sets, maps and the user's chain keep their content.

    `is_router` false: it was us who switched forwarding (of IPv4) on, so what concerns no bridge is not forwarded.
    `unruled`: the protocol (`ipv4` or `ipv6`) that the administrator wants no rules for.
    """
    where = f"{shape.family} {table}"
    commands = [f"add table {where}"]
    commands += [f"add {each.kind} {where} {name} {each.text}" for name, each in shape.sets.items()]
    for name, chain in shape.chains.items():
        if not chain.hook:
            commands.append(f"add chain {where} {name}")
            continue
        commands += [f"add chain {where} {name} {{ {chain.hook} }}", f"flush chain {where} {name}"]
        rules = (f"meta nfproto {unruled} accept", *chain.rules) if unruled and shape is PACKETS else chain.rules
        if name == "forward":
            rules += () if is_router else ("meta nfproto ipv4 drop",)
            rules += () if is_router6 else ("meta nfproto ipv6 drop",)
        commands += [f"add rule {where} {name} {rule}" for rule in rules]
    return commands


def parse_elements(shape: TableShape, objects: Sequence[Mapping[str, Any]]) -> Elements:
    """Reads a table's sets and maps out of nft's JSON, in the words of `plan_elements`."""
    found: Elements = {}
    for item in objects:
        described = item.get("set") or item.get("map")
        if not described or described["name"] not in shape.sets:
            continue
        each = shape.sets[described["name"]]
        elements = described.get("elem", [])
        if each.value:
            texts = {f"{_text(each.key, key)} : {_text(each.value, value)}" for key, value in elements}
        else:
            texts = {_text(each.key, element) for element in elements}
        found[described["name"]] = texts
    return found


def parse_marks(objects: Sequence[Mapping[str, Any]], shape: TableShape) -> frozenset[tuple[str, int]]:
    """Which rules stand in our chains, by the kernel's handles: somebody who touches one cannot keep its handle."""
    rules = [item["rule"] for item in objects if "rule" in item]
    return frozenset(
        (rule["chain"], rule["handle"])
        for rule in rules
        if rule["chain"] in shape.chains and shape.chains[rule["chain"]].hook
    )


def _text(types: tuple[str, ...], value: Any) -> str:
    """One element, or one side of a map's."""
    if not isinstance(value, dict):
        return _part(types[0], value)
    described = cast("dict[str, Any]", value)
    if "prefix" in described:
        prefix: dict[str, Any] = described["prefix"]
        return f"{prefix['addr']}/{prefix['len']}"
    return " . ".join([_part(kind, part) for kind, part in zip(types, described["concat"], strict=True)])


def _part(kind: str, value: Any) -> str:
    if kind == IFNAME:
        return f'"{value}"'
    return _PROTOCOL_NAMES.get(str(value), str(value)) if kind == PROTOCOL else str(value)
