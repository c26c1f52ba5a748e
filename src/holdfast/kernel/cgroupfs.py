# SPDX-License-Identifier: Apache-2.0
"""Files and directories of a cgroup file system: make, write, read, list, remove.

Knows no controller and no version; `runtime.cgroups` decides what is written where. A write to a control file is one
write(2) (the kernel parses each write as a whole), so several values for one file share the open descriptor.
Source: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. Errors are OSError, as the kernel gave them.
"""

from __future__ import annotations

import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PROCS = "cgroup.procs"
_ABSENT = -1
_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.064


def make(directory: str) -> bool:
    """Makes one cgroup whose parent exists; False when it was there already. One mkdir(2)."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return False
    return True


def write(path: str, values: Iterable[str]) -> None:
    """Writes each value with its own write(2) through one descriptor; never creates the file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(fd, value.encode())
    finally:
        os.close(fd)


def read(path: str) -> str:
    """The whole content of a control file, without the last line feed."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts: list[bytes] = []
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode().rstrip("\n")


def read_optional(path: str) -> str | None:
    """As `read`, but None when the kernel does not offer the file (ENOENT, EOPNOTSUPP, or the cgroup has gone)."""
    try:
        return read(path)
    except OSError as problem:
        if problem.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
            return None
        raise


class KeptFiles:
    """Control files that are read again and again: opened once, one pread(2) for each reading after that.

    The kernel gives a control file whole in one read (kernfs, seq_file). It can remove a cgroup whose files are open;
    reading on raises OSError (ENODEV). Closed by `close`.
    """

    __slots__ = ("_fds",)

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def read(self, path: str) -> str | None:
        """As `read_optional`; what the kernel does not offer is not asked for again."""
        fd = self._fds.get(path)
        try:
            if fd is None:
                fd = self._fds[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return None if fd == _ABSENT else os.pread(fd, 65536, 0).decode().rstrip("\n")
        except OSError as problem:
            if problem.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
                raise
            if fd is not None:
                os.close(fd)
            self._fds[path] = _ABSENT
            return None

    def close(self) -> None:
        """Gives the descriptors back; idempotent."""
        fds, self._fds = self._fds, {}
        for fd in fds.values():
            if fd != _ABSENT:
                os.close(fd)


def descendants(directory: str) -> list[str]:
    """The cgroup and every one below it, parents first; empty when it is gone."""
    found = [directory]
    for parent in found:
        try:
            with os.scandir(parent) as entries:
                found.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            if parent == directory:
                return []
    return found


def pids(directory: str) -> list[int]:
    """Processes of the cgroup and of all below it, as seen from the caller's pid namespace (0 = not visible)."""
    return [int(line) for each in descendants(directory) for line in (read_optional(f"{each}/{_PROCS}") or "").split()]


def remove(directory: str, *, patience_seconds: float) -> None:
    """Removes the cgroup and all below it; gone already is fine.

    A process that was just reaped keeps its cgroup busy for a moment (cgroups(7), rmdir gives EBUSY), so EBUSY is tried
    again with growing pauses until `patience_seconds` are over; then the OSError is raised. One rmdir(2) as a rule.
    """
    deadline = time.monotonic() + patience_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY:
                raise
        else:
            return
        _remove_below(directory)
        if time.monotonic() >= deadline:
            os.rmdir(directory)
            return
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _remove_below(directory: str) -> None:
    for each in reversed(descendants(directory)[1:]):
        try:
            os.rmdir(each)
        except OSError as problem:
            if problem.errno not in (errno.EBUSY, errno.ENOENT):
                raise
