# SPDX-License-Identifier: Apache-2.0
"""`-p [[HOST_IP:]HOST_PORT:]CONTAINER_PORT[/PROTO]` and `--expose`, with ranges, as the API's port map. Pure."""

from __future__ import annotations

import _socket

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PROTOCOLS = ("tcp", "udp", "sctp")


def _range(text: str, whole: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        first, last = int(low), int(high or low)
    except ValueError:
        raise errors.InvalidArgument(f"invalid containerPort: {text}") from None
    if not 0 <= first <= last <= 65535:
        raise errors.InvalidArgument(f"invalid port range specification: {whole}: ports are 0 to 65535")
    return first, last


def _split(spec: str) -> tuple[str, str, str, str]:
    rest, _, protocol = spec.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise errors.InvalidArgument(f"invalid proto: {protocol}")
    rest, _, container = rest.rpartition(":")
    address, _, host = rest.rpartition(":")
    if rest.endswith("]"):
        address, host = rest, ""
    address = address.strip("[]")
    if address and not _is_address(address):
        raise errors.InvalidArgument(f"invalid IP address: {address}")
    return address, host, container, protocol


def _is_address(text: str) -> bool:
    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except OSError:
        return False
    return True


def parse(published: Iterable[str], exposed: Iterable[str]) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Returns (["80/tcp", …], {"80/tcp": [{"HostIp", "HostPort"}]})."""
    ports: list[str] = []
    bindings: dict[str, list[dict[str, str]]] = {}
    for spec in published:
        address, host, container, protocol = _split(spec)
        if not container:
            raise errors.InvalidArgument(f"no port specified: {spec}<empty>")
        first, last = _range(container, spec)
        host_first, host_last = _range(host, spec) if host else (0, 0)
        one_to_one = host_last - host_first == last - first
        if host and not one_to_one and first != last:
            raise errors.InvalidArgument(
                f"invalid ranges specified for container and host Ports: {container} and {host}"
            )
        for offset in range(last - first + 1):
            port = f"{first + offset}/{protocol}"
            if not host:
                shown = ""
            elif one_to_one:
                shown = str(host_first + offset)
            else:
                shown = f"{host_first}-{host_last}"
            ports.append(port)
            bindings.setdefault(port, []).append({"HostIp": address, "HostPort": shown})
    for spec in exposed:
        text, _, protocol = spec.partition("/")
        first, last = _range(text, spec)
        ports += [f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)]
    return list(dict.fromkeys(ports)), bindings
