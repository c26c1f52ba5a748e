# SPDX-License-Identifier: Apache-2.0
"""The files of a container's directory: what the daemon and the shim leave for each other when one of them is dead.

`config.json` (OCI spec, by the daemon), `exit.json` (how it ended), `shim.sock`.
All are replaced by rename; none is synced, because a power loss ends the container too.
"""

from __future__ import annotations

import json
import os

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.shim.protocol import Message

CONFIG, EXIT, SOCKET, LOG = "config.json", "exit.json", "shim.sock", "shim.log"

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def open_directory(path: str) -> int:
    """Opens a container's directory; everything below is reached through this descriptor."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def is_removed(directory_fd: int) -> bool:
    """Whether the daemon has removed the directory."""
    return os.fstat(directory_fd).st_nlink == 0


def socket_address(directory_fd: int) -> str:
    """A name for the socket that is short however long the directory's is (a unix address has 108 bytes)."""
    return f"/proc/self/fd/{directory_fd}/{SOCKET}"


def write(directory_fd: int, name: str, content: Message) -> None:
    """Puts a file into the directory, whole or not at all."""
    temporary = f".{name}"
    fd = os.open(temporary, _WRITE, 0o600, dir_fd=directory_fd)
    try:
        rest = json.dumps(content).encode()
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)


def read(directory_fd: int, name: str) -> Message | None:
    """Reads a file of the directory; None when there is none, Corrupt when it is not a JSON object."""
    try:
        fd = os.open(name, _READ, dir_fd=directory_fd)
    except FileNotFoundError:
        return None
    with open(fd, "rb", buffering=0) as file:
        try:
            content = json.loads(file.readall() or b"")
        except ValueError:
            content = None
    if not isinstance(content, dict):
        raise errors.Corrupt(f"{name} is damaged")
    return content  # pyright: ignore[reportUnknownVariableType]


def remove(path: str) -> None:
    """Removes a container's directory, which only our own processes write to."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(path)


def append_log(directory_fd: int, text: str) -> None:
    """Adds to the shim's own log, which exists only when something went wrong."""
    fd = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        os.write(fd, text.encode(errors="backslashreplace"))
    finally:
        os.close(fd)
