# SPDX-License-Identifier: Apache-2.0
"""The Engine API as method calls: version negotiation, JSON in and out, errors by status, streams and upgrades.

It knows HTTP and the API's conventions, not its nouns: `client.library` and `cli.commands` name the paths.
One `Api` keeps one idle connection; a stream or an upgrade takes a connection of its own. Sync, not thread-safe.
"""

from __future__ import annotations

import os

from holdfast import errors
from holdfast.client import address, dial, embedded
from holdfast.client.http import Connection, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, TypeGuard

    from holdfast.client.http import Stream

MAXIMUM_VERSION = (1, 51)
_ERRORS: dict[int, type[errors.HoldfastError]] = {
    304: errors.NotModified,
    400: errors.InvalidArgument,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.Unsupported,
    503: errors.Unavailable,
}
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def quote(text: str) -> str:
    """Percent-encodes a path segment or query value; `/` stays, as image names are matched over several segments."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())


def query_string(values: Mapping[str, Any]) -> str:
    """`{"all": True, "limit": None}` becomes `?all=1`; None and False are left out, lists are repeated, dicts are JSON."""
    parts: list[str] = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        if isinstance(value, dict):
            if not value:
                continue
            import json

            value = json.dumps(value, separators=(",", ":"))
        parts.extend(f"{quote(name)}={quote('1' if item is True else str(item))}" for item in _as_list(value))
    return "?" + "&".join(parts) if parts else ""


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _as_list(value: Any) -> list[Any]:
    return value if _is_list(value) else [value]


class Api:
    """One daemon, spoken to in the newest version that both sides know."""

    def __init__(
        self,
        endpoint: address.Endpoint,
        *,
        version: tuple[int, int] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._say = say or _say_nothing
        self._version = version
        self._idle: Connection | None = None

    def _connect(self) -> Connection:
        try:
            return Connection(dial.dial(self.endpoint))
        except errors.Unavailable:
            if not self.endpoint.is_embedded:
                raise
        embedded.ensure_started(self._answers, self._say)
        return Connection(dial.dial(self.endpoint))

    def _answers(self) -> bool:
        """A daemon that has bound its socket may still fail to start: only an answer counts."""
        try:
            connection = Connection(dial.dial(self.endpoint))
        except errors.HoldfastError:
            return False
        try:
            return connection.request("HEAD", "/_ping").status == 200
        except errors.Unavailable:
            return False
        finally:
            connection.close()

    @property
    def version(self) -> tuple[int, int]:
        """The negotiated API version; the first look asks the daemon (`HEAD /_ping`)."""
        if self._version is None:
            named = os.environ.get("DOCKER_API_VERSION")
            if named:
                major, _, minor = named.partition(".")
                self._version = (int(major), int(minor))
            else:
                response = self._request("HEAD", "/_ping", None, None)
                response.read()
                major, _, minor = response.headers.get("api-version", "1.24").partition(".")
                self._version = min(MAXIMUM_VERSION, (int(major), int(minor)))
        return self._version

    def _request(
        self, method: str, target: str, headers: Mapping[str, str] | None, body: bytes | Iterable[bytes] | None
    ) -> Response:
        connection = self._idle or self._connect()
        self._idle = None
        try:
            response = connection.request(method, target, headers=headers, body=body)
        except BaseException:
            connection.close()
            raise
        if response.status < 400 and response.headers.get("connection", "").lower() != "close":
            self._idle = connection
        return response

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        major, minor = self.version
        return f"/v{major}.{minor}{path}{query_string(query) if query else ''}"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request with a JSON body (or none); returns the decoded JSON answer, or None for an empty one."""
        data: bytes | None = None
        sent = dict(headers or {})
        if body is not None:
            import json

            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        response = self._request(method, self._target(path, query), sent, data)
        answer = response.read()
        self._check(response, answer)
        if not answer.strip():
            return None
        if "json" not in response.headers.get("content-type", "json"):
            return answer.decode(errors="replace")
        import json

        return json.loads(answer)

    def _check(self, response: Response, answer: bytes) -> None:
        if response.status < 400 and response.status != 304:
            return
        message = answer.decode(errors="replace").strip()
        if message.startswith("{"):
            import json

            try:
                message = str(json.loads(message).get("message", message))
            except ValueError:
                pass
        raise _ERRORS.get(response.status, errors.Internal)(message)

    def _own_connection(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> tuple[Connection, Response]:
        target = self._target(path, query)
        connection = self._connect()
        try:
            response = connection.request(method, target, headers=headers, body=body)
            if response.status >= 400:
                self._check(response, response.read())
        except BaseException:
            connection.close()
            raise
        return connection, response

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[bytes]:
        """Sends a request and yields the answer's body as it comes; closing the iterator ends the request."""
        connection, response = self._own_connection(method, path, query, headers or {}, body)
        return _stream(connection, response)

    def download(
        self, path: str, *, query: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, str], Iterator[bytes]]:
        """GETs; returns the answer's headers (names in lower case) and its body as it comes."""
        connection, response = self._own_connection("GET", path, query, {}, None)
        return response.headers, _stream(connection, response)

    def read(self, path: str, *, query: Mapping[str, Any] | None = None) -> bytes:
        """GETs on the kept connection; the answer's body as it came."""
        response = self._request("GET", self._target(path, query), None, None)
        answer = response.read()
        self._check(response, answer)
        return answer

    def head(self, path: str, *, query: Mapping[str, Any] | None = None) -> Mapping[str, str]:
        """The headers of a HEAD request; an error of that has no message of the daemon's."""
        response = self._request("HEAD", self._target(path, query), None, None)
        self._check(response, response.read())
        return response.headers

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes],
    ) -> None:
        """Uploads a body piece by piece; the answer says only whether it went well."""
        for _ in self.stream(method, path, query=query, headers=headers, body=body):
            pass

    def messages(self, method: str, path: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yields the JSON messages of a progress or event stream."""
        import json

        ahead = b""
        for piece in self.stream(method, path, **arguments):
            *lines, ahead = (ahead + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    yield json.loads(line)
        if ahead.strip():
            yield json.loads(ahead)

    def upgrade(self, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Upgraded:
        """POSTs and takes the connection over (`Upgrade: tcp`): the way of attach and exec start."""
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        data: bytes | None = None
        if body is not None:
            import json

            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection, response = self._own_connection("POST", path, query, headers, data)
        framed = response.headers.get("content-type") == "application/vnd.docker.multiplexed-stream"
        return Upgraded(connection.stream, connection.take_ahead(), is_framed=framed)

    def wait_stream(self, path: str, *, query: Mapping[str, Any] | None = None) -> Callable[[], Any]:
        """POSTs a long poll, returns once its headers are there; calling the result waits for the JSON answer."""
        connection, response = self._own_connection("POST", path, query, {}, None)

        def answer() -> Any:
            import json

            try:
                return json.loads(response.read())
            finally:
                connection.close()

        return answer

    def close(self) -> None:
        """Closes the idle connection, if any."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None


def _say_nothing(_text: str) -> None:
    """What an Api without a listener says."""


class Upgraded:
    """A raw stream to a container: the socket, bytes that came ahead, and whether output is framed."""

    __slots__ = ("ahead", "is_framed", "stream")

    def __init__(self, stream: Stream, ahead: bytes, *, is_framed: bool) -> None:
        self.stream, self.ahead, self.is_framed = stream, ahead, is_framed


def _stream(connection: Connection, response: Response) -> Iterator[bytes]:
    try:
        yield from response.chunks()
    finally:
        connection.close()
