# SPDX-License-Identifier: Apache-2.0
"""HTTP to registries: one exchange at a time over pooled connections, with redirects followed by our own rules.

Blocking, thread-safe, no retries and no authentication (`remote` and `auth` do those). The bytes of a body pass
unchanged. Foreign exceptions end here: `Unreachable` says in Docker's (Go's) words what the network did.
Made by `distribution.pull` at the first pull, because urllib3 costs 50 ms and 4 MB that a daemon may never need.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as failures

from holdfast.distribution import addresses, proxies
from holdfast.distribution.credentials import is_same_origin
from holdfast.distribution.endpoints import CERTS_DIRS, is_loopback
from holdfast.distribution.http import CHUNK_BYTES, DEFAULT_TRUST, READ_SECONDS, Body, Trust, Unreachable
from holdfast.distribution.proxies import Proxies
from holdfast.errors import InvalidArgument

MAX_REDIRECTS = 10
CONNECT_SECONDS = 10.0
PLAIN_SECONDS = 30.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "holdfast/0.1"
_NO_RETRIES = urllib3.Retry(False, redirect=False)


class Response:
    """One response: status, headers, and a body that is read once; a context manager that frees the connection."""

    __slots__ = ("_raw", "headers", "status", "url")

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        self._raw = raw
        self.url = url
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def content_length(self) -> int | None:
        """The declared length of the body, when there is a believable one."""
        value = self.headers.get("Content-Length", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The body as it comes; Unreachable when it ends too early or stalls."""
        try:
            while data := self._raw.read1(size):
                yield data
        except (failures.HTTPError, OSError, ValueError) as failure:
            raise _translated(failure, "GET", self.url) from failure

    def read(self, limit: int) -> bytes:
        """The whole body; InvalidArgument as soon as it is longer than the limit."""
        declared = self.content_length
        parts: list[bytes] = []
        size = 0
        if declared is None or declared <= limit:
            for chunk in self.chunks(min(CHUNK_BYTES, limit + 1)):
                size += len(chunk)
                if size > limit:
                    break
                parts.append(chunk)
        if size > limit or (declared is not None and declared > limit):
            raise InvalidArgument(f"answer of {self.url} is larger than the limit of {limit} bytes")
        return b"".join(parts)

    def shutdown(self) -> None:
        """Wakes a thread that reads the body, from another thread; it sees Unreachable."""
        try:
            self._raw.shutdown()
        except (failures.HTTPError, OSError, ValueError, RuntimeError):
            return

    def close(self) -> None:
        """Gives the connection back if the body was read to its end, or if there was none, else closes it."""
        if self._raw.length_remaining == 0 or self._raw.closed:
            self._raw.drain_conn()  # reads nothing more, but without it the connection takes no second request
            self._raw.release_conn()
        else:
            self._raw.close()


class Transport:
    """The pools of one daemon; at most `connections` are kept to each host."""

    def __init__(
        self, *, certs_dirs: tuple[str, ...] = CERTS_DIRS, connections: int = 8, through: Proxies | None = None
    ) -> None:
        self._through = proxies.resolve(Proxies(), os.environ) if through is None else through
        self._certs_dirs = [Path(folder) for folder in certs_dirs]
        self._connections = connections
        self._lock = threading.Lock()
        self._plain: dict[str, float] = {}
        self._pools: dict[tuple[str, Trust, str], urllib3.PoolManager] = {}

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.clear()

    def speaks_plain(self, host: str) -> bool:
        """See `HTTP.speaks_plain`."""
        with self._lock:
            return self._plain.get(host, 0.0) > time.monotonic()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        trust: Trust = DEFAULT_TRUST,
        body: Body = None,
        timeout_seconds: float = READ_SECONDS,
    ) -> Response:
        """See `HTTP.exchange`. Authorization goes no further than the first address's scheme, host and port.

        Only GET and HEAD are redirected, never from https to http except on loopback.
        """
        origin, current, sent = url, url, dict(headers)
        for _ in range(MAX_REDIRECTS + 1):
            trusted = trust if current is origin or is_same_origin(origin, current) else DEFAULT_TRUST
            raw = self._send(method, current, sent, trusted, body, timeout_seconds)
            location = raw.headers.get("Location")
            if raw.status not in _REDIRECTS or not location or method not in ("GET", "HEAD"):
                return Response(raw, current)
            raw.close()
            target = _redirected(current, location)
            if not is_same_origin(origin, target):
                sent.pop("Authorization", None)
            current = target
        raise Unreachable(f"{_verb(method)} {_quoted(url)}: stopped after {MAX_REDIRECTS} redirects", is_final=True)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        trust: Trust,
        body: Body,
        timeout_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        parts = urlsplit(url)
        pool = self._pool(parts.scheme, parts.netloc, self._through.for_url(url), trust)
        try:
            return pool.request(
                method,
                url,
                body=body() if callable(body) else body,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=_NO_RETRIES,
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, timeout_seconds), read=timeout_seconds),
            )
        except (failures.HTTPError, OSError, ValueError) as failure:
            translated = _translated(failure, method, url)
            if translated.never_connected and translated.is_final and is_loopback(parts.hostname or ""):
                with self._lock:
                    self._plain[parts.netloc] = time.monotonic() + PLAIN_SECONDS
            raise translated from failure

    def _pool(self, scheme: str, netloc: str, proxy: str, trust: Trust) -> urllib3.PoolManager:
        folders = [folder / netloc for folder in self._certs_dirs if scheme == "https"]
        folder = next((each for each in folders if each.is_dir()), None)
        key = (netloc if folder else "", trust, proxy)
        with self._lock:
            if key not in self._pools:
                context = _context(trust, folder)
                self._pools[key] = (
                    _proxy_manager(proxy, context, self._connections)
                    if proxy
                    else urllib3.PoolManager(ssl_context=context, maxsize=self._connections)
                )
            return self._pools[key]


def _context(trust: Trust, folder: Path | None) -> ssl.SSLContext:
    """What hosts.toml names, and what lies in the host's folder: `*.crt` to trust, `*.cert` with `*.key` to show."""
    context = ssl.create_default_context()
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    path: Path | str = ""
    try:
        for path in trust.ca:
            context.load_verify_locations(path)
        for path, key in trust.client:
            context.load_cert_chain(path, key or None)
        for path in sorted(folder.iterdir()) if folder is not None else ():
            if path.suffix == ".crt":
                context.load_verify_locations(path)
            elif path.suffix == ".cert":
                context.load_cert_chain(path, path.with_suffix(".key"))
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"cannot use the certificate {path}: {error}") from None
    return context


def _proxy_manager(proxy: str, context: ssl.SSLContext, connections: int) -> urllib3.ProxyManager:
    who = proxies.authorization(proxy)
    return urllib3.ProxyManager(
        proxies.address(proxy),
        proxy_headers={"Proxy-Authorization": who} if who else None,
        ssl_context=context,
        maxsize=connections,
    )


def _redirected(current: str, location: str) -> str:
    """Where a redirect leads; Unreachable when that is nowhere, or from https to plain http."""
    target = addresses.join(current, location)
    if not target:
        shown = "".join(char if char.isprintable() else "?" for char in location.partition("?")[0][:200])
        raise Unreachable(f'Get {_quoted(current)}: refusing the redirect to "{shown}"', is_final=True)
    parts = urlsplit(target)
    if parts.scheme == "http" and current.startswith("https:") and not is_loopback(parts.hostname or ""):
        raise Unreachable(
            f"Get {_quoted(current)}: refusing the redirect from https to plain http at {parts.netloc}", is_final=True
        )
    return target


def _verb(method: str) -> str:
    return method.capitalize()


def _quoted(url: str) -> str:
    parts = urlsplit(url)
    return f'"{parts.scheme}://{parts.netloc.rpartition("@")[2]}{parts.path}"'


def _base(url: str) -> str:
    """The address up to `/v2/`: what is named when no connection came about, as dockerd does, whose ping (a GET) fails."""
    head, mark, _ = url.partition("/v2/")
    return head + mark


def _translated(failure: Exception, method: str, url: str) -> Unreachable:
    """The failure in Go's words, which scripts look for; queries (signatures, tokens) are left out."""
    prefix = f"{_verb(method)} {_quoted(url)}: "
    dialling = f"Get {_quoted(_base(url))}: dial tcp"
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    if isinstance(failure, failures.NameResolutionError):
        return Unreachable(f"{dialling}: lookup {parts.hostname}: no such host", never_connected=True)
    if isinstance(failure, failures.NewConnectionError):
        cause = failure.__cause__
        text = os.strerror(cause.errno).lower() if isinstance(cause, OSError) and cause.errno else str(cause)
        return Unreachable(f"{dialling} {address}: connect: {text}", never_connected=True)
    if isinstance(failure, failures.ConnectTimeoutError):
        return Unreachable(f"{dialling} {address}: i/o timeout", never_connected=True)
    if isinstance(failure, failures.SSLError | ssl.SSLError):
        return _tls_failure(failure, prefix)
    if isinstance(failure, failures.ReadTimeoutError | socket.timeout):
        return Unreachable(f"{prefix}no data for too long (read timeout)")
    if isinstance(failure, failures.IncompleteRead):
        return Unreachable(f"{prefix}unexpected EOF after {failure.partial} bytes")
    if isinstance(failure, failures.ProxyError):
        return Unreachable(f"{prefix}proxyconnect tcp: {_proxy_text(failure.original_error)}", never_connected=True)
    if isinstance(failure, failures.LocationParseError | ValueError):
        return Unreachable(f"{prefix}{failure}", is_final=True)
    return Unreachable(f"{prefix}{_last_cause(failure)}")


def _proxy_text(error: Exception) -> str:
    """Why the proxy did not do it, in Go's words where it was not reached."""
    if not isinstance(error, failures.NewConnectionError):
        return str(error)
    at = f"{error.conn.host}:{error.conn.port}"
    if isinstance(error, failures.NameResolutionError):
        return f"dial tcp: lookup {error.conn.host}: no such host"
    cause = error.__cause__
    text = os.strerror(cause.errno).lower() if isinstance(cause, OSError) and cause.errno else "i/o timeout"
    return f"dial tcp {at}: connect: {text}"


def _tls_failure(failure: Exception, prefix: str) -> Unreachable:
    text = str(_last_cause(failure))
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "HTTP_REQUEST" in text:
        return Unreachable(
            prefix + "http: server gave HTTP response to HTTPS client", never_connected=True, is_final=True
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return Unreachable(
            f"{prefix}tls: failed to verify certificate: x509: {reason}", never_connected=True, is_final=True
        )
    return Unreachable(f"{prefix}tls: {text}", never_connected=True)


def _last_cause(failure: BaseException) -> BaseException:
    while True:
        inner = failure.__cause__ or next((arg for arg in failure.args if isinstance(arg, BaseException)), None)
        if inner is None:
            return failure
        failure = inner
