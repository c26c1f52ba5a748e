# SPDX-License-Identifier: Apache-2.0
"""Fetches an archive from a URL that the user has named: `docker import http://…`.

http and https only, through the daemon's proxy where it has one, no credentials, five redirects, half a minute of
patience with a silent server; how much is taken is bounded by who unpacks it. Called by `api.routes.images`.
Source: moby `daemon/builder/remotecontext`.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from holdfast.distribution import proxies
from holdfast.distribution.proxies import Proxies
from holdfast.errors import InvalidArgument, Unavailable

_PATIENCE_SECONDS = 30.0
_CHUNK = 256 * 1024


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5


class _Proxy(urllib.request.BaseHandler):
    """Sends each request, also after a redirect, through the proxy that its address asks for."""

    handler_order = 100  # before the handlers that open connections

    def __init__(self, through: Proxies) -> None:
        self._through = through

    def http_open(self, request: urllib.request.Request) -> None:
        proxy = self._through.for_url(request.full_url)
        if not proxy:
            return
        who = proxies.authorization(proxy)
        if who:
            request.add_unredirected_header("Proxy-Authorization", who)
        parts = urlsplit(proxies.address(proxy))
        request.set_proxy(parts.netloc, parts.scheme)

    https_open = http_open


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


async def fetch(url: str, through: Proxies) -> AsyncIterator[bytes]:
    """Yields the archive's bytes; Unavailable names the server and what it said."""
    response = await asyncio.to_thread(_open, url, through)
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


def _open(url: str, through: Proxies) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Proxy(through),
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
