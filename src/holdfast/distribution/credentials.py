# SPDX-License-Identifier: Apache-2.0
"""Who the user is at a registry, and to whom that may be told.

Pure. The rules of `may_send` are the defence against token servers on other hosts (CVE-2020-15157). A secret never
shows in a repr. Called by `distribution.auth` and the image jobs. Source: Engine API "Authentication", security.md §2.2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from holdfast.distribution.endpoints import is_loopback

HEADER_MAX_BYTES = 64 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user's name and password, or a token that stands for them; all empty means anonymous."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    server_address: str = ""

    @property
    def is_anonymous(self) -> bool:
        """True when there is nothing to tell."""
        return not (self.username or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header; empty without a user name."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


ANONYMOUS = Credentials()


class _AuthConfig(msgspec.Struct):
    username: str | None = None
    password: str | None = None
    auth: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None
    serveraddress: str | None = None


def from_header(value: str) -> Credentials:
    """Reads `X-Registry-Auth`; anything that cannot be read is anonymous, as Docker has it for pulls."""
    if not value or len(value) > HEADER_MAX_BYTES:
        return ANONYMOUS
    try:
        text = base64.urlsafe_b64decode(value.replace("+", "-").replace("/", "_") + "=" * (-len(value) % 4))
        return from_json(text)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return ANONYMOUS


def from_json(data: bytes) -> Credentials:
    """Reads the auth object of the Engine API; raises msgspec's errors for other shapes."""
    config = msgspec.json.decode(data, type=_AuthConfig | None) or _AuthConfig()
    username, password = config.username or "", config.password or ""
    if config.auth and not username:
        pair = base64.b64decode(config.auth).decode("utf-8")
        username, _, password = pair.partition(":")
    return Credentials(
        username=username,
        password=password.strip("\0"),
        identity_token=config.identitytoken or "",
        registry_token=config.registrytoken or "",
        server_address=config.serveraddress or "",
    )


def may_send(registry_url: str, target_url: str) -> bool:
    """Tells whether a password meant for the registry may go to the target.

    The registry's own origin gets it over https, or over http on loopback. Another host gets it only over https and
    within the same registrable domain.
    """
    if _origin(target_url) is None:
        return False
    registry, target = urlsplit(registry_url), urlsplit(target_url)
    registry_name, target_name = (registry.hostname or "").lower(), (target.hostname or "").lower()
    if not target_name or target.username is not None:
        return False
    if target.scheme == "http":
        return is_loopback(target_name) and is_same_origin(registry_url, target_url)
    if target.scheme != "https":
        return False
    return target_name == registry_name or registrable_domain(target_name) == registrable_domain(registry_name)


def is_same_origin(one: str, other: str) -> bool:
    """Same scheme, host and port; an origin that cannot be read equals none."""
    first = _origin(one)
    return first is not None and first == _origin(other)


def registrable_domain(name: str) -> str:
    """The part of a host name that its owner registered; an address or a single label is itself.

    Without the public suffix list: two labels, three below a country's second level (`example.co.uk`), the whole
    name below suffixes where strangers rent their own names.
    """
    name = name.rstrip(".")
    labels = name.split(".")
    if len(labels) < 3 or ":" in name or labels[-1].isdigit():
        return name
    if any(name.endswith("." + suffix) for suffix in _RENTED_SUFFIXES):
        return name
    is_country_second_level = len(labels[-1]) == 2 and (len(labels[-2]) <= 2 or labels[-2] in _SECOND_LEVELS)
    return ".".join(labels[-3:] if is_country_second_level else labels[-2:])


_SECOND_LEVELS = frozenset({"com", "net", "org", "gov", "edu", "mil", "gob", "gouv"})
_RENTED_SUFFIXES = (
    "amazonaws.com",
    "azurecr.io",
    "azurewebsites.net",
    "cloudapp.net",
    "cloudfront.net",
    "duckdns.org",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "ngrok.io",
    "ngrok.app",
    "onrender.com",
    "pages.dev",
    "run.app",
    "trycloudflare.com",
    "vercel.app",
    "workers.dev",
)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, (parts.hostname or "").lower(), port) if parts.hostname else None
