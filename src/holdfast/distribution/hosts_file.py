# SPDX-License-Identifier: Apache-2.0
"""containerd's hosts.toml: mirrors, certificates and headers for any registry.

Looked for in `<folder>/<host[:port]>/hosts.toml`, then in `<folder>/_default/hosts.toml`, for each folder of the
configuration; read anew for every pull, so that a change needs no restart. A damaged file is an error that names it:
silently asking another host than the one configured would be worse. Called by `distribution.registries`.
Source: containerd `docs/hosts.md` (server, host, capabilities, ca, client, skip_verify, override_path, header).
"""

from __future__ import annotations

import os
import tomllib
from typing import Any, cast
from urllib.parse import urlsplit

from holdfast.distribution.endpoints import Endpoint, Hosts
from holdfast.errors import InvalidArgument

NAME = "hosts.toml"
_DEFAULT = "_default"
_MAX_BYTES = 1 << 20


def find(domain: str, folders: tuple[str, ...]) -> Hosts | None:
    """What the first file found says of a registry; None when there is none."""
    for folder in folders:
        for name in (domain, _DEFAULT):
            path = os.path.join(folder, name, NAME)
            try:
                with open(path, "rb") as file:
                    data = file.read(_MAX_BYTES)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise InvalidArgument(f"cannot read {path}: {error.strerror}") from None
            return parse(data, domain, path)
    return None


def parse(data: bytes, domain: str, path: str) -> Hosts:
    """The file's meaning for one registry; InvalidArgument names the file and what is wrong. Pure."""
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{path}: {error}") from None
    hosts = document.get("host", {})
    if not isinstance(hosts, dict):
        raise InvalidArgument(f"{path}: host is no table")
    folder = os.path.dirname(path)
    mirrors: list[Endpoint] = []
    for url, entry in cast("dict[str, object]", hosts).items():
        if not isinstance(entry, dict):
            raise InvalidArgument(f"{path}: host {url!r} is no table")
        settings = cast("dict[str, Any]", entry)
        if {"pull", "resolve"} <= set(_texts(settings.get("capabilities", ["pull", "resolve"]), path)):
            mirrors.append(_endpoint(url, settings, domain, folder, path, is_mirror=True))
    server = document.get("server")
    found = _endpoint(str(server), document, domain, folder, path, is_mirror=False) if server else None
    return Hosts(mirrors=tuple(mirrors), server=found)


def _endpoint(url: str, settings: dict[str, Any], domain: str, folder: str, path: str, *, is_mirror: bool) -> Endpoint:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.username is not None:
        raise InvalidArgument(f"{path}: {url!r} is not an http or https address of a host")
    overrides = bool(settings.get("override_path", False))
    prefix = parts.path.rstrip("/")
    return Endpoint(
        scheme=parts.scheme,
        host=parts.netloc,
        prefix=prefix if overrides else prefix.removesuffix("/v2"),
        verify=not settings.get("skip_verify", False),
        is_mirror=is_mirror,
        ca=tuple(os.path.join(folder, name) for name in _texts(settings.get("ca", []), path)),
        client=_pairs(settings.get("client", []), folder, path),
        headers=_headers(settings.get("header", {}), path),
        namespace=domain if is_mirror and parts.netloc != domain else "",
        overrides_path=overrides,
    )


def _texts(value: object, path: str) -> list[str]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise InvalidArgument(f"{path}: expected text or a list of texts, not {value!r}")
    return [str(each) for each in values]


def _pairs(value: object, folder: str, path: str) -> tuple[tuple[str, str], ...]:
    """Client certificates: a file with both halves, or [certificate, key] pairs."""
    pairs: list[tuple[str, str]] = []
    for each in cast("list[object]", value) if isinstance(value, list) else [value]:
        names = _texts(each, path)
        if not 1 <= len(names) <= 2:
            raise InvalidArgument(f"{path}: a client certificate is one file or a pair of files")
        certificate, key = names[0], names[1] if len(names) > 1 else ""
        pairs.append((os.path.join(folder, certificate), os.path.join(folder, key) if key else ""))
    return tuple(pairs)


def _headers(value: object, path: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise InvalidArgument(f"{path}: header is no table")
    found: list[tuple[str, str]] = []
    for name, values in cast("dict[str, object]", value).items():
        text = ", ".join(_texts(values, path))
        if not text.isprintable() or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidArgument(f"{path}: header {name!r} cannot be sent")
        found.append((name, text))
    return tuple(found)
