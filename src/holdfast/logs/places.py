# SPDX-License-Identifier: Apache-2.0
"""Where in a container's directory which log lies, and in which form it can be read (pure; the daemon's side).

Called by the engine when a container starts and when its log is read. The names are Docker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Unsupported
from holdfast.logs import policy
from holdfast.logs.formats import JSON_LINES, RECORDS, Format

_NO_READING = "configured logging driver does not support reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files of one container's log: what the driver writes and the readable copy, "" where there is none."""

    path: str = ""
    cache_path: str = ""


def plan(driver: str, options: Mapping[str, str], directory: Path, container_id: str) -> Places:
    """Says where a container's log belongs."""
    match driver:
        case "json-file":
            return Places(path=str(directory / f"{container_id}-json.log"))
        case "local":
            return Places(path=str(directory / "local-logs" / "container.log"))
        case "none":
            return Places()
        case _:
            is_cached = policy.is_cached(options)
            return Places(cache_path=str(directory / "container-cached.log") if is_cached else "")


def readable(driver: str, options: Mapping[str, str], directory: Path, container_id: str) -> tuple[str, Format]:
    """The file to read a log from, and its form; Unsupported when there is none."""
    places = plan(driver, options, directory, container_id)
    path = places.path or places.cache_path
    if not path:
        raise Unsupported(_NO_READING)
    return path, JSON_LINES if driver == "json-file" else RECORDS
