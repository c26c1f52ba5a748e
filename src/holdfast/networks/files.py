# SPDX-License-Identifier: Apache-2.0
"""The three files (hosts, resolv.conf, hostname) that are bind mounted into a container: written, and kept true.

Written whole before a start. While the container lives its own changes stay: a network that comes or goes adds or takes
away its lines of hosts, and a resolv.conf that somebody edited is left alone. Called by the controller.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.networks import hosts, resolv
from holdfast.networks.values import ConnectRequest, Endpoint, NetworkConfig


def write(
    request: ConnectRequest,
    endpoints: Sequence[Endpoint],
    config: NetworkConfig,
    *,
    in_host: bool,
    gateways: Sequence[str],
) -> None:
    """Writes all three into the request's directory. InvalidArgument: an extra host that is none."""
    given = config.host_gateway_ip
    extra = hosts.parse_extra_hosts(request.extra_hosts, (given,) if given else gateways)
    if in_host:
        hosts_text = hosts.extend_host_file(_read("/etc/hosts"), extra)
    else:
        hosts_text = hosts.render_hosts(_own_lines(request, endpoints), extra, ipv6=request.ipv6)
    _write(request.directory / "hosts", hosts_text)
    has_names = any(endpoint.has_names for endpoint in endpoints)
    _write(request.directory / "resolv.conf", _resolv_text(request, config, in_host=in_host, has_names=has_names))
    _write(request.directory / "hostname", request.hostname + "\n")


def update(
    request: ConnectRequest, before: Sequence[Endpoint], after: Sequence[Endpoint], config: NetworkConfig
) -> None:
    """Follows a living container's networks."""
    path = request.directory / "hosts"
    text = _read(str(path))
    changed = hosts.exchange_lines(text, _own_lines(request, before), _own_lines(request, after))
    if changed != text:
        _write(path, changed)
    had_names = any(endpoint.has_names for endpoint in before)
    if not had_names and any(endpoint.has_names for endpoint in after):
        path = request.directory / "resolv.conf"
        if _read(str(path)) == _resolv_text(request, config, in_host=False, has_names=False):
            _write(path, _resolv_text(request, config, in_host=False, has_names=True))


def nameservers(request: ConnectRequest, config: NetworkConfig) -> tuple[str, ...]:
    """What the container, or the daemon for all, was told to ask instead of the host's servers."""
    return request.dns or config.dns


def keeps_single_labels(request: ConnectRequest, config: NetworkConfig) -> bool:
    """Whether somebody set ndots: a name without a dot is then meant for the search list, not for the world."""
    return resolv.needs_dots(request.dns_options or config.dns_options)


def _own_lines(request: ConnectRequest, endpoints: Sequence[Endpoint]) -> list[tuple[str, str]]:
    names = hosts.host_names(request.hostname, request.domainname)
    addresses = [address for each in endpoints for address in (each.ip_address, each.ipv6_address)]
    return [(address, names) for address in addresses if address]


def _resolv_text(request: ConnectRequest, config: NetworkConfig, *, in_host: bool, has_names: bool) -> str:
    text = _read(resolv.HOST_FILE)
    host = resolv.parse(text)
    wanted = resolv.override(
        host,
        dns=nameservers(request, config),
        dns_search=request.dns_search or config.dns_search,
        dns_options=request.dns_options or config.dns_options,
    )
    if in_host and wanted == host:
        return text
    if has_names:
        return resolv.render_internal(wanted, is_of_host=wanted.nameservers == host.nameservers)
    if not in_host and wanted.nameservers == host.nameservers:
        if resolv.needs_resolved_file(host):
            wanted = replace(wanted, nameservers=resolv.parse(_read(resolv.RESOLVED_FILE)).nameservers)
        wanted = resolv.without_loopback(wanted)
    return resolv.render(wanted)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    """Replaces the content in place. Never through length 0: ext4 answers that with a flush at close, 0.4 ms."""
    data = text.encode(errors="replace")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, data)
        if os.fstat(fd).st_size > len(data):
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
