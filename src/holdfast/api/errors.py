# SPDX-License-Identifier: Apache-2.0
"""The only place where an error becomes an HTTP answer.

An error of the taxonomy keeps its text; anything else is our bug: logged with its traceback under a job id, and the
client sees that id and never the traceback. Called by `api.server`. Source: Engine API v1.51 "Errors".
"""

from __future__ import annotations

import logging
import os
from typing import cast

import msgspec

from holdfast.api.http import Empty, Raw
from holdfast.errors import HoldfastError, Internal, InvalidArgument, NotModified

_LOG = logging.getLogger("holdfast.api")
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


class ClientTooOld(InvalidArgument):
    """A version from before the JSON errors: its clients (skopeo's and Podman's `docker-daemon:`) show the body as it is."""


def response(error: Exception, *, what: str) -> Raw | Empty:
    """The answer for an error; `what` names the request in the log."""
    if isinstance(error, NotModified):
        return Empty(304)
    if isinstance(error, ExceptionGroup):
        error = _worst(cast("ExceptionGroup[Exception]", error))
    if isinstance(error, ClientTooOld):
        return Raw(error.message.encode() + b"\n", "text/plain; charset=utf-8", error.http_status, _NO_SNIFFING)
    if isinstance(error, HoldfastError) and not isinstance(error, Internal):
        _LOG.debug("%s: %s", what, error.message)
        return message(error.http_status, error.message)
    job = os.urandom(4).hex()
    _LOG.error("%s failed, job %s", what, job, exc_info=error)
    if isinstance(error, Internal):
        return message(500, error.message)
    return message(500, f"internal error {type(error).__name__} in job {job}, see the daemon's log")


def message(status: int, text: str) -> Raw:
    """Docker's error body."""
    return Raw(msgspec.json.encode({"message": text}) + b"\n", status=status)


def _worst(group: ExceptionGroup[Exception]) -> Exception:
    """What a group says to a client: its first error of the taxonomy, or the group itself when there is none."""
    found: Exception | None = group.subgroup(HoldfastError)
    while isinstance(found, ExceptionGroup):
        found = cast("ExceptionGroup[Exception]", found).exceptions[0]
    return found or group
