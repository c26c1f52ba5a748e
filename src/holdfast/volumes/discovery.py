# SPDX-License-Identifier: Apache-2.0
"""Where plugins are to be found: sockets in one directory, files with addresses in others; a name may be a folder, too.

`NAME.sock` is a plugin that listens there. `NAME.spec` holds an address (unix, tcp, http, https), `NAME.json` an
address and what TLS wants. Sockets come first. Reads the disk at each call, since plugins come and go. Called by
`volumes.factory`. Source: docs.docker.com "Docker Plugin API", plugin discovery; moby 28 `pkg/plugins`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from holdfast.errors import InvalidArgument, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", re.ASCII)
_SCHEMES = ("unix", "tcp", "http", "https")
_FILE_BYTES = 1 << 16
_DEFAULT_PORTS = {"https": 443}


class Tls(NamedTuple):
    """Paths of certificates; `is_blind`: whoever answers is believed."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    is_blind: bool = False


NO_TLS = Tls()


class Address(NamedTuple):
    """`place` is a path for `unix`, else a host."""

    scheme: str
    place: str
    port: int = 0
    tls: Tls = NO_TLS

    @property
    def shown(self) -> str:
        """As Go shows it in errors."""
        return f"unix {self.place}" if self.scheme == "unix" else f"tcp {self.place}:{self.port}"


class Places(NamedTuple):
    """The directories to look in."""

    sockets: str = "/run/docker/plugins"
    files: tuple[str, ...] = ("/etc/docker/plugins", "/usr/lib/docker/plugins")


PLACES = Places()


def find(places: Places, name: str) -> Address:
    """The address of a plugin; NotFound when nothing tells of it, InvalidArgument when what tells of it cannot be read."""
    if _NAME.fullmatch(name) and ".." not in name:
        for path in _candidates(places.sockets, name, ".sock"):
            if _is_socket(path):
                return Address("unix", path)
        for directory in places.files:
            for path in (*_candidates(directory, name, ".spec"), *_candidates(directory, name, ".json")):
                if os.path.isfile(path):
                    return _read(path)
    raise NotFound(f'plugin "{name}" not found')


def names(places: Places) -> list[str]:
    """All that could be plugins, in the order of their names."""
    found = {
        _stem(entry) for entry in _entries(places.sockets) if entry.name.endswith(".sock") and _is_socket(entry.path)
    }
    for directory in places.files:
        found.update(_stem(entry) for entry in _entries(directory) if entry.name.endswith((".spec", ".json")))
    return sorted(found)


def parse(text: str, tls: Tls = NO_TLS) -> Address:
    """An address as files have it; ValueError."""
    parsed = urllib.parse.urlsplit(text)
    if parsed.scheme not in _SCHEMES:
        raise ValueError(f"unknown protocol {parsed.scheme!r}")
    if parsed.scheme == "unix":
        if not parsed.path.startswith("/"):
            raise ValueError("not an absolute path")
        return Address("unix", parsed.netloc + parsed.path)
    if not parsed.hostname:
        raise ValueError("no host")
    return Address(parsed.scheme, parsed.hostname, parsed.port or _DEFAULT_PORTS.get(parsed.scheme, 80), tls)


def _read(path: str) -> Address:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_FILE_BYTES).strip()
        if path.endswith(".spec"):
            return parse(text)
        described: object = json.loads(text)
        if not isinstance(described, dict):
            raise ValueError("not an object")
        members = cast("dict[str, Any]", described)
        tls: Any = members.get("TLSConfig") or {}
        files = [str(tls.get(key) or "") for key in ("CAFile", "CertFile", "KeyFile")]
        return parse(str(members.get("Addr") or ""), Tls(*files, is_blind=tls.get("InsecureSkipVerify") is True))
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidArgument(f"{path} does not tell of a plugin: {error}") from None


def _candidates(directory: str, name: str, suffix: str) -> tuple[str, str]:
    return f"{directory}/{name}{suffix}", f"{directory}/{name}/{name}{suffix}"


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """Those of a directory, and of its directories those that are called like them."""
    try:
        found = list(os.scandir(directory))
    except OSError:
        return
    for entry in found:
        if entry.is_dir():
            try:
                yield from (inner for inner in os.scandir(entry.path) if _stem(inner) == entry.name)
            except OSError:
                continue
        else:
            yield entry


def _stem(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[0]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
