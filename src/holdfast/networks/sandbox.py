# SPDX-License-Identifier: Apache-2.0
"""A container's namespace and the three files (hosts, resolv.conf, hostname) that are bind mounted into it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast import errors
from holdfast.kernel import netns, rtnetlink
from holdfast.networks import hosts, resolv
from holdfast.networks.values import ConnectRequest, Endpoint, NetworkConfig

_LOOPBACK = 1
# An endpoint without IPv6 address gets no link-local one either: the interface is born after this is written.
_SYSCTLS = (("ipv6/conf/default/disable_ipv6", "1"),)


def open_namespace(
    path: str, sysctls: Sequence[tuple[str, str]] = (), *, spare: netns.Netns | None = None
) -> netns.Netns:
    """A named namespace with loopback up, `spare` if there is one; raises Internal and leaves nothing."""
    made = spare or make_namespace(sysctls)
    try:
        netns.name(made, path)
    except OSError as error:
        made.close()
        raise errors.Internal(f"failed to name network namespace {path}: {error.strerror}") from error
    return made


def make_namespace(sysctls: Sequence[tuple[str, str]] = ()) -> netns.Netns:
    """One without a name, with loopback up; raises Internal and leaves nothing."""
    try:
        made = netns.make((*(_SYSCTLS if _has_ipv6() else ()), *sysctls))
    except OSError as error:
        raise errors.Internal(f"failed to make network namespace: {error.strerror}") from error
    try:
        made.links.execute(rtnetlink.set_link(_LOOPBACK, is_up=True))
    except OSError as error:
        made.close()
        raise errors.Internal(f"failed to raise loopback in a network namespace: {error.strerror}") from error
    return made


def _has_ipv6() -> bool:
    return os.path.exists("/proc/sys/net/ipv6")


def write_files(
    request: ConnectRequest, endpoints: Sequence[Endpoint], config: NetworkConfig, *, in_host: bool, gateway: str
) -> None:
    """Writes hosts, resolv.conf and hostname into the request's directory."""
    extra = hosts.parse_extra_hosts(request.extra_hosts, config.host_gateway_ip or gateway)
    if in_host:
        hosts_text = hosts.extend_host_file(_read("/etc/hosts"), extra)
    else:
        names = hosts.host_names(request.hostname, request.domainname)
        own = [(endpoint.ip_address, names) for endpoint in endpoints if endpoint.ip_address]
        hosts_text = hosts.render_hosts(own, extra)
    _write(request.directory / "hosts", hosts_text)
    _write(request.directory / "resolv.conf", _resolv_text(request, config, in_host=in_host))
    _write(request.directory / "hostname", request.hostname + "\n")


def _resolv_text(request: ConnectRequest, config: NetworkConfig, *, in_host: bool) -> str:
    text = _read(resolv.HOST_FILE)
    host = resolv.parse(text)
    wanted = resolv.override(
        host,
        dns=request.dns or config.dns,
        dns_search=request.dns_search or config.dns_search,
        dns_options=request.dns_options or config.dns_options,
    )
    if in_host and wanted == host:
        return text
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
    data = text.encode()
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, data)
        if os.fstat(fd).st_size > len(data):
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
