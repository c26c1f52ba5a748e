# SPDX-License-Identifier: Apache-2.0
"""What the daemon's process owns while it lives: its roots, the lock on the data root, the pid file, clean descriptors.

One daemon per data root, by flock(2) and not by a pid that may be reused. Called by `daemon.main` before any thread or
loop exists. Source: flock(2), close_range(2), security.md R3.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from holdfast.errors import Conflict, InvalidArgument


def close_inherited() -> None:
    """Closes every descriptor above stderr that nobody passed on purpose (socket activation), whatever its flags."""
    kept = int(os.environ.get("LISTEN_FDS", "0")) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
    os.closerange(3 + kept, os.sysconf("SC_OPEN_MAX"))
    for number in range(3, 3 + kept):
        os.set_inheritable(number, False)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def make_roots(data_root: str, exec_root: str) -> None:
    """Both roots exist afterwards and are the owner's alone. InvalidArgument when they cannot be made."""
    for path, mode in ((data_root, 0o700), (exec_root, 0o711)):
        try:
            os.makedirs(path, mode=mode, exist_ok=True)
            os.chmod(path, mode)
        except OSError as error:
            raise InvalidArgument(f"cannot use {path}: {(error.strerror or 'error').lower()}") from error


class DataRootLock:
    """The exclusive right to a data root; held until `release` or the end of the process."""

    def __init__(self, data_root: str) -> None:
        path = os.path.join(data_root, "holdfastd.lock")
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise Conflict(f"data root {data_root} is in use by another holdfastd (pid {owner})") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Gives the right back."""
        os.close(self._fd)


def write_pidfile(path: str) -> None:
    """Our pid at the path; replaces what a dead daemon left there."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.replace(temporary, path)


def remove_pidfile(path: str) -> None:
    """Removes the pid file if it is still ours."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        if int(file.read()) == os.getpid():
            os.unlink(path)
