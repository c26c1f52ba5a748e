# SPDX-License-Identifier: Apache-2.0
"""The gate of a created container: a socket in its state directory at which the init waits for `hold-runc start`.

What runc's exec fifo is: the maker leaves after `create`, so the init listens itself. The one that connects is its maker
from then on: it sends `go` and hears how execve went. The file's existence says that the container is not started yet.
"""

from __future__ import annotations

import os
import socket

from holdfast.runtime.channel import Channel

_NAME = "start.sock"


def listen(directory: str) -> socket.socket:
    """A listening end for the init to inherit; `directory` may be a path of any length."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _Directory(directory) as prefix:
        listener.bind(f"{prefix}/{_NAME}")
    listener.listen(1)
    return listener


def open_gate(directory: str) -> Channel:
    """Connects to a waiting init and takes the gate down; OSError when there is none (any more)."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _Directory(directory) as prefix:
            end.connect(f"{prefix}/{_NAME}")
    except OSError:
        end.close()
        raise
    os.unlink(f"{directory}/{_NAME}")
    return Channel(end)


def exists(directory: str) -> bool:
    """Whether the container was created and not started."""
    return os.path.lexists(f"{directory}/{_NAME}")


class _Directory:
    """A short name for a directory: an address of a unix socket has room for 107 bytes."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
