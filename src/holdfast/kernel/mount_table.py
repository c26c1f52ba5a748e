# SPDX-License-Identifier: Apache-2.0
"""The mounts that this process sees, read from /proc/self/mountinfo: which one a path lies on, and how it propagates.

Called by `engine.mounting` and `volumes`. Source: proc_pid_mountinfo(5), mount_namespaces(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple


class Entry(NamedTuple):
    """One mount: where, and whether it shares mounts with peers or takes them from a master."""

    target: str
    is_shared: bool
    is_slave: bool


def entries() -> Iterator[Entry]:
    """All mounts, those that lie on others later."""
    with open("/proc/self/mountinfo", "rb") as table:
        yield from (parse(line) for line in table)


def parse(line: bytes) -> Entry:
    """One line of the table."""
    fields = line.split(b" ")
    optional = fields[6 : fields.index(b"-", 6)]
    return Entry(
        os.fsdecode(_unescape(fields[4])),
        any(word.startswith(b"shared:") for word in optional),
        any(word.startswith(b"master:") for word in optional),
    )


def find(path: str) -> Entry:
    """The mount that a path without links lies on: of those that hold it the deepest, of those at one place the last."""
    found = Entry("/", False, False)
    for entry in entries():
        prefix = entry.target.rstrip("/")
        if (path == prefix or path.startswith(f"{prefix}/")) and len(entry.target) >= len(found.target):
            found = entry
    return found


def _unescape(field: bytes) -> bytes:
    """Blanks, tabs, newlines and backslashes stand as three octal digits."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
