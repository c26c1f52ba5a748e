# SPDX-License-Identifier: Apache-2.0
"""A container's resolv.conf, made from the host's. Pure: text in, text out; `networks.sandbox` reads and writes.

A resolver on the host's loopback means nothing inside a container: it is left out, and where the host's file names
only systemd-resolved's stub, the file behind that stub is read instead. Source: resolv.conf(5), systemd-resolved(8).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.errors import InvalidArgument

INTERNAL = "127.0.0.11"
HOST_FILE = "/etc/resolv.conf"
RESOLVED_FILE = "/run/systemd/resolve/resolv.conf"
_RESOLVED_STUB = "127.0.0.53"
_FALLBACK = ("8.8.8.8", "8.8.4.4")


@dataclass(frozen=True, slots=True)
class Resolv:
    """What a resolv.conf says."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str) -> Resolv:
    """Reads a resolv.conf as the C library does: the last search or domain line counts, options add up."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            nameservers.append(words[1])
        elif words[0] == "search":
            search = tuple(words[1:])
        elif words[0] == "domain":
            search = (words[1],)
        elif words[0] == "options":
            options += words[1:]
    return Resolv(tuple(nameservers), search, tuple(options))


def needs_resolved_file(host: Resolv) -> bool:
    """Whether the host's file only points at systemd-resolved's stub listener."""
    return host.nameservers == (_RESOLVED_STUB,)


def without_loopback(host: Resolv, *, keep_ipv6: bool = False) -> Resolv:
    """Leaves out resolvers on loopback, and IPv6 ones for a container without IPv6; public ones when none is left."""
    kept = tuple([server for server in host.nameservers if _is_reachable(server, keep_ipv6)])
    return replace(host, nameservers=kept or _FALLBACK)


def _is_reachable(server: str, keep_ipv6: bool) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return not address.is_loopback and (address.version == 4 or keep_ipv6)


def _check_server(server: str) -> None:
    try:
        ipaddress.ip_address(server)
    except ValueError:
        raise InvalidArgument(f'bad nameserver address {server}: ParseAddr("{server}"): unable to parse IP') from None


def override(
    base: Resolv, *, dns: Sequence[str] = (), dns_search: Sequence[str] = (), dns_options: Sequence[str] = ()
) -> Resolv:
    """Puts what was asked for in the place of what the host says; a search of `.` means none at all."""
    for server in dns:
        _check_server(server)
    search = () if tuple(dns_search) == (".",) else tuple(dns_search) or base.search
    return Resolv(tuple(dns) or base.nameservers, search, tuple(dns_options) or base.options)


def needs_dots(options: Sequence[str]) -> bool:
    """Whether an option `ndots` of more than 0 is among them."""
    found = [option.partition(":")[2] for option in options if option.startswith("ndots:")]
    return any(value.isdecimal() and int(value) > 0 for value in found)


def render(resolv: Resolv) -> str:
    lines = ["# Made by Holdfast from the host's resolv.conf"]
    lines += [f"nameserver {server}" for server in resolv.nameservers]
    if resolv.search:
        lines.append("search " + " ".join(resolv.search))
    if resolv.options:
        lines.append("options " + " ".join(resolv.options))
    return "\n".join(lines) + "\n"


def render_internal(resolv: Resolv, *, is_of_host: bool) -> str:
    """The file of a container that asks us: `resolv` is what we ask in turn, the host's own servers or others."""
    options = resolv.options
    if not any(option.startswith("ndots:") for option in options):
        options = (*options, "ndots:0")
    servers = " ".join([f"host({server})" if is_of_host else server for server in resolv.nameservers])
    lines = ["# Made by Holdfast. An edited file is left alone.", "", f"nameserver {INTERNAL}"]
    if resolv.search:
        lines.append("search " + " ".join(resolv.search))
    lines += ["options " + " ".join(options), "", f"# Based on host file: '{HOST_FILE}' (internal resolver)"]
    return "\n".join([*lines, f"# ExtServers: [{servers}]"]) + "\n"
