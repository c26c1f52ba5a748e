# SPDX-License-Identifier: Apache-2.0
"""Fetches an archive from a URL that the user has named: `docker import http://…`.

http and https only, no proxy, no credentials, five redirects, half a minute of patience with a silent server; how much
is taken is bounded by who unpacks it. Called by `api.routes.images`. Source: moby `daemon/builder/remotecontext`.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from holdfast.errors import InvalidArgument, Unavailable

_PATIENCE_SECONDS = 30.0
_CHUNK = 256 * 1024


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5


def check(url: str) -> str:
    """The URL, `http://` before it where it has no scheme; InvalidArgument for what is none."""
    full = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(full)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise InvalidArgument(f"cannot import from {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not has_host or any(ord(letter) <= 0x20 for letter in full):
        raise InvalidArgument(f"cannot import from {url!r}: it must be an http or https URL")
    return full


async def fetch(url: str) -> AsyncIterator[bytes]:
    """Yields the archive's bytes; Unavailable names the server and what it said."""
    response = await asyncio.to_thread(_open, url)
    try:
        expected = int(response.headers.get("Content-Length") or -1)
        received = 0
        while data := await asyncio.to_thread(_read, response, url):
            received += len(data)
            yield data
        if 0 <= received < expected:
            raise Unavailable(f"import from {url}: the server sent {received} of {expected} bytes")
    finally:
        response.close()


def _open(url: str) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    try:
        response = opener.open(url, timeout=_PATIENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unavailable(f"import from {url}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"import from {url}: {getattr(reason, 'strerror', None) or reason}") from None
    if response is None:
        raise InvalidArgument(f"cannot import from {url!r}: it leads to what is neither http nor https")
    return response


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"import from {url}: {error or type(error).__name__}") from None
