# SPDX-License-Identifier: Apache-2.0
"""A container's /etc/hosts and hostname. Pure: text in, text out; `networks.sandbox` writes the files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast import errors

_LOCAL = "127.0.0.1\tlocalhost\n"
_LOCAL6 = (
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
_HOST_GATEWAY = "host-gateway"


def host_names(hostname: str, domainname: str) -> str:
    """The names of the container's own line: the full one first, then the short one."""
    if domainname:
        return f"{hostname}.{domainname} {hostname}"
    short, _, rest = hostname.partition(".")
    return f"{hostname} {short}" if rest else hostname


def parse_extra_hosts(entries: Iterable[str], host_gateways: Sequence[str]) -> list[tuple[str, str]]:
    """Reads `NAME:ADDRESS` and `NAME=ADDRESS` into (address, name); `host-gateway` becomes the host's addresses."""
    found: list[tuple[str, str]] = []
    for entry in entries:
        separator = "=" if "=" in entry and entry.find("=") < (entry.find(":") if ":" in entry else len(entry)) else ":"
        name, given, address = entry.partition(separator)
        if not given or not name or not address:
            raise errors.InvalidArgument(f'bad format for add-host: "{entry}"')
        if address == _HOST_GATEWAY:
            if not host_gateways:
                raise errors.InvalidArgument("unable to derive the IP value for host-gateway")
            found += [(each, name) for each in host_gateways]
            continue
        found.append((address.removeprefix("[").removesuffix("]"), name))
    return found


def render_hosts(own: Sequence[tuple[str, str]], extra: Sequence[tuple[str, str]], *, ipv6: bool = True) -> str:
    """The file: localhost, with or without IPv6, the extra hosts, then the container's own (address, names) lines."""
    return _LOCAL + (_LOCAL6 if ipv6 else "") + "".join([f"{address}\t{names}\n" for address, names in (*extra, *own)])


def extend_host_file(text: str, extra: Sequence[tuple[str, str]]) -> str:
    """The host's own file with the extra hosts behind: what a container in the host's network sees."""
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join([f"{address}\t{names}\n" for address, names in extra])


def exchange_lines(text: str, before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> str:
    """A living container's file with other (address, names) lines of its own; everything else in it stays."""
    old = [f"{address}\t{names}" for address, names in before]
    new = [f"{address}\t{names}" for address, names in after]
    gone, come = set(old) - set(new), [line for line in new if line not in old]
    kept = [line for line in text.splitlines() if line not in gone]
    return "".join([f"{line}\n" for line in (*kept, *come)])
