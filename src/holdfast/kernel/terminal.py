# SPDX-License-Identifier: Apache-2.0
"""Pseudo-terminals: a pair whose slave is reached through its master, size, controlling terminal.

The slave comes from TIOCGPTPEER, never from a name below /dev/pts, so nobody can put another file there
(CVE-2025-52565). Source: ioctl_tty(2), pts(4).
"""

from __future__ import annotations

import fcntl
import os
import struct

_TIOCSCTTY = 0x540E
_TIOCGWINSZ = 0x5413
_TIOCSWINSZ = 0x5414
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_SLAVE_MAJORS = range(136, 144)


def open_pair(devpts_fd: int, name: str = "ptmx") -> tuple[int, int]:
    """A new (master, slave) in the devpts instance whose root is `devpts_fd`; both close-on-exec."""
    master = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=devpts_fd)
    try:
        return master, open_peer(master)
    except OSError:
        os.close(master)
        raise


def open_peer(master: int) -> int:
    """Unlocks and opens a master's slave."""
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if os.major(os.fstat(slave).st_rdev) not in _SLAVE_MAJORS:
        os.close(slave)
        raise OSError(22, "not a pseudo-terminal")
    return slave


def set_size(fd: int, height: int, width: int) -> None:
    """Sets rows and columns; the foreground processes get SIGWINCH."""
    fcntl.ioctl(fd, _TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def get_size(fd: int) -> tuple[int, int]:
    """(rows, columns)."""
    height, width, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, _TIOCGWINSZ, bytes(8)))
    return height, width


def make_controlling(fd: int) -> None:
    """Makes `fd` the controlling terminal of the caller, a session leader without one."""
    fcntl.ioctl(fd, _TIOCSCTTY, 0)
