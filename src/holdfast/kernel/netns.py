# SPDX-License-Identifier: Apache-2.0
"""Named network namespaces: a namespace kept alive by a bind mount of it on a file, entered by path.

`make` moves only the calling thread, for some 0.6 ms, and brings it back; call it from a thread that runs nothing
else. Removing the last name and the last process lets the kernel take the namespace, and the veth ends in it, apart
in its own time. Called by `networks.sandbox`. Source: network_namespaces(7), setns(2), mount(2).
"""

from __future__ import annotations

import errno
import os

from holdfast.kernel import netlink
from holdfast.kernel.syscalls import MOUNT, SETNS, UMOUNT2, UNSHARE, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 0x2
_UMOUNT_NOFOLLOW = 0x8
_HERE = b"/proc/thread-self/ns/net"


class Netns:
    """An open namespace: a descriptor to put links into, and a netlink socket that works inside."""

    __slots__ = ("fd", "links")

    def __init__(self, fd: int, links: netlink.Socket) -> None:
        self.fd = fd
        self.links = links

    def __enter__(self) -> Netns:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.links.close()
        os.close(self.fd)


def open_current() -> int:
    """A descriptor of the calling thread's network namespace."""
    return os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)


def create(path: str, *, sysctls: Sequence[tuple[str, str]] = ()) -> Netns:
    """Makes a namespace, names it `path` (which must not exist) and returns it open; a failure leaves nothing."""
    made = make(sysctls)
    try:
        name(made, path)
    except OSError:
        made.close()
        raise
    return made


def make(sysctls: Sequence[tuple[str, str]] = ()) -> Netns:
    """Makes a namespace that lives as long as it is open or has a name; the thread ends where it was.

    `sysctls` are (path below /proc/sys/net, value) pairs written inside. When the thread cannot be brought back the
    error is a SystemError: the thread must not be used again.
    """
    home = open_current()
    try:
        call(UNSHARE, _CLONE_NEWNET)
        try:
            return _open_made(sysctls)
        finally:
            _return_home(home)
    finally:
        os.close(home)


def name(space: Netns, path: str) -> None:
    """Gives an open namespace a name, which must not exist. A failure leaves no file and no mount."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        call(MOUNT, b"/proc/self/fd/%d" % space.fd, os.fsencode(path), None, _MS_BIND, None)
    except OSError:
        remove(path)
        raise


def enter(path: str) -> Netns:
    """Opens an existing namespace by its path; the thread ends where it was."""
    home = open_current()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            call(SETNS, fd, _CLONE_NEWNET)
            try:
                links = netlink.Socket()
            finally:
                _return_home(home)
        except OSError:
            os.close(fd)
            raise
        return Netns(fd, links)
    finally:
        os.close(home)


def inside(fd: int, home: int, make: Callable[[], T]) -> T:
    """Calls `make` in the namespace of one descriptor and brings the thread back to that of the other; 2 µs."""
    call(SETNS, fd, _CLONE_NEWNET)
    try:
        return make()
    finally:
        _return_home(home)


def write_sysctls(space: Netns, sysctls: Sequence[tuple[str, str]]) -> None:
    """Writes (path below /proc/sys/net, value) pairs in an open namespace; the thread ends where it was."""
    home = open_current()
    try:
        inside(space.fd, home, lambda: [write_sysctl(name, value) for name, value in sysctls])
    finally:
        os.close(home)


def remove(path: str) -> None:
    """Takes the name away; idempotent, also for a file on which the mount never happened."""
    while True:
        was_mounted = _unmount(path)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or not was_mounted:
                raise
        else:
            return  # a file that is mounted once more is busy


def _unmount(path: str) -> bool:
    try:
        call(UMOUNT2, os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return False
    return True


def _open_made(sysctls: Sequence[tuple[str, str]]) -> Netns:
    links = netlink.Socket()
    try:
        for sysctl, value in sysctls:
            write_sysctl(sysctl, value)
        return Netns(open_current(), links)
    except OSError:
        links.close()
        raise


def write_sysctl(name: str, value: str) -> None:
    """Writes /proc/sys/net/`name` of the calling thread's namespace."""
    fd = os.open(f"/proc/sys/net/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _return_home(home: int) -> None:
    try:
        call(SETNS, home, _CLONE_NEWNET)
    except OSError as error:
        raise SystemError(f"the thread is lost in a foreign network namespace: {error}") from error
