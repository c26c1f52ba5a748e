# SPDX-License-Identifier: Apache-2.0
"""What a registry says no with: the codes of the specification, each with its status.

Raised anywhere in this package, rendered by `registry.server`; errors of lower packages get their code here too.
Source: OCI distribution-spec v1.1 §error-codes; the statuses of distribution 2.8.
"""

from __future__ import annotations

import msgspec

from holdfast import errors
from holdfast.errors import HoldfastError

STATUSES = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DENIED": 403,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 400,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "PAGINATION_NUMBER_INVALID": 400,
    "RANGE_INVALID": 416,
    "SIZE_INVALID": 400,
    "TAG_INVALID": 400,
    "TOOMANYREQUESTS": 429,
    "UNAUTHORIZED": 401,
    "UNKNOWN": 500,
    "UNSUPPORTED": 405,
}
_CODES: tuple[tuple[type[HoldfastError], str, int], ...] = (
    (errors.Unauthenticated, "UNAUTHORIZED", 401),
    (errors.Forbidden, "DENIED", 403),
    (errors.NotFound, "BLOB_UNKNOWN", 404),
    (errors.InvalidArgument, "MANIFEST_INVALID", 400),
    (errors.Exhausted, "UNKNOWN", 507),
    (errors.Unavailable, "UNKNOWN", 503),
)


class Refusal(HoldfastError):
    """A definite answer that is not the one hoped for; `headers` go out with it."""

    def __init__(self, code: str, message: str, *, status: int = 0, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or STATUSES[code]
        self.headers = headers or {}


def refusal_for(error: HoldfastError) -> Refusal:
    """The registry's words for an error of a lower package."""
    if isinstance(error, Refusal):
        return error
    for kind, code, status in _CODES:
        if isinstance(error, kind):
            return Refusal(code, error.message, status=status)
    return Refusal("UNKNOWN", error.message)


def body_of(refusal: Refusal) -> bytes:
    """The specification's error document."""
    return msgspec.json.encode({"errors": [{"code": refusal.code, "message": refusal.message}]}) + b"\n"
