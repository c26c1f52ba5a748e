# SPDX-License-Identifier: Apache-2.0
"""What a handler of this registry sees of HTTP: the request that it gets and the answer that it returns.

No socket here: `registry.connection` reads requests and writes answers. Every module of handlers uses these values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from holdfast.registry.refusals import Refusal

QUERY_MAX_FIELDS = 20


class Body(Protocol):
    """The bytes of one request, read once."""

    @property
    def length(self) -> int | None:
        """The declared length; None when it comes in chunks."""
        ...

    def pieces(self) -> Iterator[memoryview]:
        """The bytes as they come; each piece is valid until the next."""
        ...

    def read(self, limit: int) -> bytes:
        """The whole body; Refusal (413) above the limit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names are lower case, `query` has the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body

    @property
    def is_head(self) -> bool:
        return self.method == "HEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpan:
    """Bytes of an open file; whoever sends them closes the descriptor."""

    fd: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Bytes that come from elsewhere while they are sent; too few of them end the connection."""

    pieces: Iterator[bytes]
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | FileSpan | Stream = b""


def parse_query(raw: str) -> dict[str, str]:
    """The first value of each parameter; Refusal for an absurd number of them."""
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=QUERY_MAX_FIELDS)
    except ValueError:
        raise Refusal("UNSUPPORTED", "too many query parameters", status=400) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
