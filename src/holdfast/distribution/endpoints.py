# SPDX-License-Identifier: Apache-2.0
"""Where a repository's registry is to be found: mirrors first, then the registry, https before http.

Pure. Plain http and unverified certificates are for loopback and for registries that the configuration names, for
nobody else. Called by `distribution.pull`.
Source: dockerd's daemon.json keys `registry-mirrors` and `insecure-registries`; what dockerd 28.5 contacts.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.distribution.http import Trust
from holdfast.errors import InvalidArgument
from holdfast.oci import strict
from holdfast.oci.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

if TYPE_CHECKING:
    from holdfast.distribution.proxies import Proxies

DOCKER_HUB_HOST = "registry-1.docker.io"
CERTS_DIRS = ("/etc/holdfast/certs.d", "/etc/docker/certs.d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One base address of a registry; `host` has the port when it is not the scheme's own."""

    scheme: str
    host: str
    prefix: str = ""
    verify: bool = True
    is_mirror: bool = False
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    overrides_path: bool = False

    @property
    def url(self) -> str:
        """The address without a slash at the end; `/v2/…` follows."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    @property
    def api(self) -> str:
        """Where the distribution API is: below `/v2`, unless the configuration names the whole path."""
        return self.url if self.overrides_path else f"{self.url}/v2"

    @property
    def trust(self) -> Trust:
        """How to prove who is who over https."""
        return Trust(self.verify, self.ca, self.client)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """What the daemon's configuration says about registries; `certs_dirs` have a folder for each host, the first wins.

    `proxies`: None is what the environment says. `documents`: how large what a registry sends may be.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    certs_dirs: tuple[str, ...] = CERTS_DIRS
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    proxies: Proxies | None = None
    documents: strict.Limits = strict.DEFAULT_LIMITS

    def __post_init__(self) -> None:
        for mirror in self.mirrors:
            _mirror(mirror, self.insecure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """What a hosts.toml says of one registry: mirrors to ask first, and perhaps where the registry itself is."""

    mirrors: tuple[Endpoint, ...] = ()
    server: Endpoint | None = None


def plan_endpoints(domain: str, config: RegistryConfig, hosts: Hosts | None = None) -> list[Endpoint]:
    """The endpoints for a reference's domain, in the order in which they are tried.

    `hosts` is what a hosts.toml says of the domain: its mirrors come first, its server takes the registry's place.
    """
    endpoints: list[Endpoint] = list(hosts.mirrors) if hosts else []
    if domain == DEFAULT_DOMAIN:
        endpoints.extend(_mirror(mirror, config.insecure) for mirror in config.mirrors)
        domain = DOCKER_HUB_HOST
    if hosts is not None and hosts.server is not None:
        return [*endpoints, hosts.server]
    if is_insecure(domain, config.insecure):
        endpoints.append(Endpoint(scheme="https", host=domain, verify=False))
        endpoints.append(Endpoint(scheme="http", host=domain, verify=False))
    else:
        endpoints.append(Endpoint(scheme="https", host=domain))
    return endpoints


def is_own(endpoint: Endpoint, domain: str) -> bool:
    """Tells whether an endpoint is the registry that a password was given for, and not another host in its place."""
    return endpoint.host == (DOCKER_HUB_HOST if domain == DEFAULT_DOMAIN else domain)


def server_domain(address: str) -> str:
    """The domain in what clients call a server address: `https://index.docker.io/v1/`, `registry:5000`, or nothing."""
    host = address.partition("://")[2] or address
    host = host.partition("/")[0]
    return DEFAULT_DOMAIN if host in ("", LEGACY_DOMAIN, DOCKER_HUB_HOST) else host


def is_insecure(host: str, insecure: tuple[str, ...]) -> bool:
    """True for loopback and for what the configuration lists: `host`, `host:port`, or an address range."""
    name = hostname(host)
    if is_loopback(name) or host in insecure or name in insecure:
        return True
    address = _address(name)
    return address is not None and any(address in network for network in _networks(insecure))


def is_loopback(name: str) -> bool:
    """True for `localhost` and for loopback addresses; names are not looked up."""
    if name.lower().rstrip(".") == "localhost":
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def hostname(host: str) -> str:
    """The name or address in `host:port`, without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _networks(insecure: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for entry in insecure:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            continue
    return networks


def _mirror(text: str, insecure: tuple[str, ...]) -> Endpoint:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InvalidArgument(f'invalid mirror: "{text}" is not an http or https URL of a host')
    if parts.username is not None:
        raise InvalidArgument(f'invalid mirror: no user name may be in the URL of "{parts.hostname}"')
    return Endpoint(
        scheme=parts.scheme,
        host=parts.netloc,
        prefix=parts.path.rstrip("/"),
        verify=not is_insecure(parts.netloc, insecure),
        is_mirror=True,
    )
