# SPDX-License-Identifier: Apache-2.0
"""What a registry's refusals mean: the error body as code and text, the status as one of two exceptions.

Pure. `Refused` is an answer that trying again will not change, `Transient` one that it may. `distribution.pull`
turns a `Refused` into the words that Docker's clients know.
Source: OCI distribution-spec v1.1 §error-codes; the texts of dockerd 28.5.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from holdfast.distribution.retry import TRANSIENT_STATUSES
from holdfast.errors import HoldfastError, Unavailable

ERROR_BODY_MAX_BYTES = 64 * 1024
_TEXT_MAX_LENGTH = 500


class Refused(HoldfastError):
    """A definite no; `code` is the registry's own (`MANIFEST_UNKNOWN`) or empty."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Transient(Unavailable):
    """The registry has a bad moment, or wants to be asked later."""

    http_status = 500

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Errors(msgspec.Struct):
    errors: list[_Error] | None = None
    details: str | None = None


def failure(status: int, body: bytes, retry_after: float | None = None) -> Refused | Transient:
    """The exception for an answer that is not a success."""
    code, text = describe(status, body)
    if status in TRANSIENT_STATUSES:
        return Transient(text, retry_after=retry_after)
    return Refused(text, status=status, code=code)


def describe(status: int, body: bytes) -> tuple[str, str]:
    """The code and, as Docker words it, the text: `manifest unknown: manifest unknown`."""
    try:
        errors = msgspec.json.decode(body, type=_Errors)
    except (msgspec.MsgspecError, RecursionError):
        errors = _Errors()
    texts = [_text(error) for error in errors.errors or () if error.code or error.message]
    if texts:
        first = (errors.errors or [_Error()])[0].code or ""
        return first.upper(), printable("; ".join(texts))
    if errors.details:
        return "", printable(errors.details)
    return "", f"received unexpected HTTP status: {status_line(status)}"


def status_line(status: int) -> str:
    """`503 Service Unavailable`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def printable(text: str) -> str:
    """A stranger's text, fit for a terminal: shortened, control characters replaced."""
    return "".join(char if char.isprintable() else "?" for char in text[:_TEXT_MAX_LENGTH])


def _text(error: _Error) -> str:
    code = (error.code or "unknown").lower().replace("_", " ")
    return f"{code}: {error.message}" if error.message else code
