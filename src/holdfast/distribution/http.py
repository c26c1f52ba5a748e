# SPDX-License-Identifier: Apache-2.0
"""HTTP as the rest of this package sees it: who exchanges, what comes back, what it means that nothing does.

No library here: `transport` does it with urllib3, tests with whatever they like. Read by `auth`, `remote`, `blobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from holdfast.errors import Unavailable

CHUNK_BYTES = 256 * 1024
READ_SECONDS = 20.0

Body: TypeAlias = bytes | Callable[[], Iterable[bytes]] | None
"""What a request carries: bytes, or a function that gives them anew for each sending (then with a Content-Length)."""


class Trust(NamedTuple):
    """How a server proves itself over https, and we to it; paths of PEM files, `client` as (certificate, key)."""

    verify: bool = True
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()


DEFAULT_TRUST = Trust()


class Unreachable(Unavailable):
    """No HTTP answer came; status 500 is what Docker's API gives for it.

    `never_connected` is true when not even a connection (or a TLS session) came about, so that another endpoint, or
    plain http where it is allowed, is worth a try; `is_final` when trying the same again cannot help.
    """

    http_status = 500

    def __init__(self, message: str, *, never_connected: bool = False, is_final: bool = False) -> None:
        super().__init__(message)
        self.never_connected = never_connected
        self.is_final = is_final


class Answer(Protocol):
    """One response: its body is read once; a context manager that frees the connection."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def url(self) -> str: ...

    @property
    def content_length(self) -> int | None:
        """The declared length of the body, when there is a believable one."""
        ...

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The body as it comes; Unreachable when it ends too early or stalls."""
        ...

    def read(self, limit: int) -> bytes:
        """The whole body; InvalidArgument as soon as it is longer than the limit."""
        ...

    def shutdown(self) -> None:
        """Wakes a thread that reads the body, from another thread; it sees Unreachable."""
        ...

    def close(self) -> None:
        """Frees the connection, for another exchange if the body was read to its end."""
        ...

    def __enter__(self) -> Answer: ...
    def __exit__(self, *exception: object) -> None: ...


class HTTP(Protocol):
    """What `auth` and `remote` need of a transport."""

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        trust: Trust = DEFAULT_TRUST,
        body: Body = None,
        timeout_seconds: float = READ_SECONDS,
    ) -> Answer:
        """Sends one request, follows redirects, returns the last answer with its body unread."""
        ...

    def speaks_plain(self, host: str) -> bool:
        """Whether a registry on loopback answered a TLS attempt in plain http a moment ago."""
        ...

    def close(self) -> None:
        """Closes the idle connections."""
        ...
