# SPDX-License-Identifier: Apache-2.0
"""Which proxy a request to the outside goes through: the daemon's configuration, and where it is silent its environment.

Pure. `no-proxy` is read as Go reads it, so that a list works here as it did with dockerd: names with their subdomains,
`.name` for subdomains only, addresses, ranges, each perhaps with a port, `*` for everything. Loopback never has a proxy.
Called by `transport`, by `engine.remote_archive` and by the daemon. Source: golang.org/x/net/http/httpproxy; dockerd 28.5.
"""

from __future__ import annotations

import base64
import ipaddress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from holdfast.distribution.endpoints import is_loopback
from holdfast.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


class Proxies(NamedTuple):
    """The proxy for plain http, the one for https, and the hosts that need none, separated by commas."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    def for_url(self, url: str) -> str:
        """The URL of the proxy for an address, with its scheme and its password; nothing where there is none."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        host = parts.hostname or ""
        if not proxy or is_loopback(host) or _is_exempt(host, parts.port or _PORTS.get(parts.scheme, 0), self.no_proxy):
            return ""
        return _full(proxy)


def resolve(configured: Proxies, environment: Mapping[str, str]) -> Proxies:
    """The configuration's values, each of them else the environment's (`HTTP_PROXY`, `http_proxy` and so on).

    What the environment says is taken as it is.
    """
    found = [
        value or environment.get(name) or environment.get(name.lower(), "")
        for name, value in zip(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"), configured, strict=True)
    ]
    return Proxies(*found)


def overridden(configured: Proxies, environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The variables that say something else than the configuration, as (name, their value, the configuration's)."""
    return [
        (spelling, masked(environment[spelling]), masked(value))
        for name, value in zip(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"), configured, strict=True)
        for spelling in (name, name.lower())
        if value and environment.get(spelling, "") not in ("", value)
    ]


def check(configured: Proxies) -> None:
    """InvalidArgument for a proxy that none can be; passwords do not appear."""
    for proxy in filter(None, (configured.http, configured.https)):
        try:
            parts = urlsplit(_full(proxy))
            has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            raise InvalidArgument("invalid proxy: its URL cannot be read") from None
        if parts.scheme not in _PORTS or not has_host:
            raise InvalidArgument(f'invalid proxy: "{masked(proxy)}" is not an http or https URL of a host')


def authorization(proxy: str) -> str:
    """The `Proxy-Authorization` value for the user and password in a proxy's URL; nothing when it has none."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def address(proxy: str) -> str:
    """The proxy's URL without user and password."""
    parts = urlsplit(proxy)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))


def masked(proxy: str) -> str:
    """The URL as `info` shows it: user and password replaced, as Docker does."""
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return proxy
    if "@" not in parts.netloc:
        return proxy
    return urlunsplit(parts._replace(netloc="xxxxx:xxxxx@" + parts.netloc.rpartition("@")[2]))


def _full(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether some entry of the list stands for the host."""
    name = host.lower().rstrip(".")
    return any(_stands_for(entry.strip().lower(), name, port) for entry in no_proxy.split(",") if entry.strip())


def _stands_for(entry: str, name: str, port: int) -> bool:
    if entry == "*":
        return True
    ip = _address(name)
    if "/" in entry:
        network = _network(entry)
        return network is not None and ip is not None and ip in network
    wanted, entry_port = _split_port(entry)
    if entry_port not in ("", str(port)):
        return False
    if ip is not None or _address(wanted) is not None:
        return ip == _address(wanted)
    wanted = wanted.removeprefix("*")
    return name.endswith(wanted) if wanted.startswith(".") else name == wanted or name.endswith("." + wanted)


def _split_port(entry: str) -> tuple[str, str]:
    """The host and the port of an entry, without brackets."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") > 1:
        return entry, ""
    host, _, port = entry.partition(":")
    return host, port


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
