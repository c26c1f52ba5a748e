# SPDX-License-Identifier: Apache-2.0
"""Decoding of JSON documents that strangers wrote, into msgspec types.

Size is checked before parsing, depth is bounded by the decoder, and `null` counts as absent, as Go's decoder has it
(images made by older Dockers say `"Labels": null`). Errors are InvalidArgument and name the document and the member.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from holdfast.errors import HoldfastError, InvalidArgument

T = TypeVar("T")

MANIFEST_MAX_BYTES = 4 << 20
CONFIG_MAX_BYTES = 2 * MANIFEST_MAX_BYTES
STORED_MAX_BYTES = 256 << 20
"""What is ours already has met its limit: a limit that is lowered later must not take an image away."""
MAX_DEPTH = 100


class Limits(NamedTuple):
    """How large a document from outside may be."""

    manifest_bytes: int = MANIFEST_MAX_BYTES

    @property
    def config_bytes(self) -> int:
        """An image config may be twice as large as a manifest."""
        return 2 * self.manifest_bytes


DEFAULT_LIMITS = Limits()
OPTION = "the daemon's option max-manifest-size allows more"
"""Ends the refusal of a document that is too large."""


def decode(data: bytes, kind: type[T], what: str, *, max_bytes: int = MANIFEST_MAX_BYTES) -> T:
    """Parses the bytes of one document; `what` names it in errors."""
    return convert(document(data, what, max_bytes=max_bytes), kind, what)


def document(data: bytes, what: str, *, max_bytes: int = MANIFEST_MAX_BYTES) -> Any:
    """The plain JSON value, nulls left in; for looking at a document before its type is known."""
    if len(data) > max_bytes:
        raise InvalidArgument(f"{what} is {len(data)} bytes, more than the limit of {max_bytes}")
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InvalidArgument(f"{what} is not valid JSON: {error}") from error


def convert(value: object, kind: type[T], what: str) -> T:
    """Checks a decoded JSON value against a type."""
    try:
        return msgspec.convert(without_nulls(value), kind)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        if isinstance(cause, HoldfastError):
            raise InvalidArgument(f"invalid {what}: {cause.message}") from error
        raise InvalidArgument(f"invalid {what}: {error}") from error


def without_nulls(value: object, depth: int = 0) -> object:
    """The value without members that are null; refuses nesting beyond MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"JSON is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {k: without_nulls(v, depth + 1) for k, v in members.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v, depth + 1) for v in cast("list[object]", value)]
    return value
