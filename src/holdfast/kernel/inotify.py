# SPDX-License-Identifier: Apache-2.0
"""inotify: which names of a directory have changed. No loop here; the reader of `Watch.fd` decides when to look.

Called by `logs.reader`. Source: inotify(7).
"""

from __future__ import annotations

import os
import struct

from holdfast.kernel import syscalls

MODIFY = 0x2
CLOSE_WRITE = 0x8
MOVED_TO = 0x80
CREATE = 0x100
DELETE_SELF = 0x400
QUEUE_OVERFLOW = 0x4000

_IS_X86 = syscalls.MACHINE == "x86_64"
_INIT1 = 294 if _IS_X86 else 26
_ADD_WATCH = 254 if _IS_X86 else 27
_EVENT = struct.Struct("iIII")
_BUFFER = 64 * 1024


class Watch:
    """Watches one directory; `fd` is readable when something has happened."""

    __slots__ = ("fd",)

    def __init__(self, directory: str, mask: int) -> None:
        self.fd = syscalls.call(_INIT1, os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            syscalls.call(_ADD_WATCH, self.fd, os.fsencode(directory), mask)
        except OSError:
            self.close()
            raise

    def read_nowait(self) -> list[tuple[str, int]]:
        """Returns (name, mask) of what has happened since the last call; an overflow has an empty name."""
        try:
            data = os.read(self.fd, _BUFFER)
        except BlockingIOError:
            return []
        events: list[tuple[str, int]] = []
        offset = 0
        while offset < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            events.append((os.fsdecode(data[offset : offset + length].rstrip(b"\0")), mask))
            offset += length
        return events

    def close(self) -> None:
        """Stops watching; idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
