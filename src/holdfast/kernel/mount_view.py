# SPDX-License-Identifier: Apache-2.0
"""A file system put together out of sight: a root mount with others upon it, seen only through one descriptor.

The mounts live in a mount namespace that no process is in; it goes, and all of them with it, when the view is closed.
Only a thread of its own ever enters a namespace here, and that thread ends at once (security.md §2.3, docker cp).
Targets are made and opened by openat2 below the root, so a container that renames meanwhile stays inside it.
Called by `engine.container_files`. Source: mount_namespaces(7), open_tree(2), move_mount(2), setns(2).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from holdfast.kernel import mount, paths
from holdfast.kernel.syscalls import SETNS, UNSHARE, call

_CLONE_FS = 0x200
_CLONE_NEWNS = 0x20000
_UNTRUSTED = mount.ATTR_NODEV | mount.ATTR_NOSUID | mount.ATTR_NOEXEC


class Attachment(NamedTuple):
    """A file or directory of the host that appears at `target`, an absolute path of the view.

    With a `subpath` it is that path below the source, which others may be writing in. The source may also be the
    descriptor of a detached mount, which stays the caller's; it has a subpath on kernels from 6.15 on only.
    """

    source: str | int
    target: str
    is_writable: bool
    subpath: str = ""


class View:
    """`root_fd` is where walks begin. Close it, or use it in a `with` block."""

    __slots__ = ("_namespace_fd", "root_fd")

    def __init__(self, root_fd: int, namespace_fd: int) -> None:
        self.root_fd = root_fd
        self._namespace_fd = namespace_fd

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all mounts."""
        os.close(self.root_fd)
        if self._namespace_fd >= 0:
            os.close(self._namespace_fd)


def open_view(make_root: Callable[[], int], namespace_fd: int, attachments: Sequence[Attachment]) -> View:
    """Puts the view together; about 0.5 ms. OSError when a source is gone or a target cannot be made.

    `make_root` gives a detached mount and runs inside the mount namespace `namespace_fd` (in ours if that is -1): use
    `root_of_namespace` there. Devices cannot be opened through the view, nothing in it can be executed.
    """
    sources = _clone_sources(attachments)
    made: list[View] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            made.append(_assemble(make_root, namespace_fd, sources))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=run, name="mount-view", daemon=True)
    try:
        thread.start()
        thread.join()
    finally:
        for source_fd, _ in sources:
            os.close(source_fd)
    if failure:
        raise failure[0]
    return made[0]


def root_of_namespace() -> int:
    """A detached copy of the root mount of the calling thread's namespace, without the mounts upon it."""
    return mount.clone("/")


def _clone_sources(attachments: Sequence[Attachment]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    try:
        for each in sorted(attachments, key=lambda each: each.target.rstrip("/").count("/")):
            fd = _clone(each)
            found.append((fd, each.target))
            _shape(fd, is_writable=each.is_writable)
    except OSError:
        for fd, _ in found:
            os.close(fd)
        raise
    return found


def _clone(attachment: Attachment) -> int:
    if isinstance(attachment.source, int):
        if not attachment.subpath:
            return os.dup(attachment.source)
        top_fd = os.dup(attachment.source)
    elif not attachment.subpath:
        return mount.clone(attachment.source, recursive=True)
    else:
        top_fd = paths.open_root(attachment.source)
    try:
        fd = paths.openat2(top_fd, attachment.subpath, os.O_PATH, resolve=paths.BENEATH)
    finally:
        os.close(top_fd)
    try:
        return mount.clone_fd(fd, recursive=True)
    finally:
        os.close(fd)


def _shape(mount_fd: int, *, is_writable: bool = True) -> None:
    attributes = _UNTRUSTED if is_writable else _UNTRUSTED | mount.ATTR_RDONLY
    mount.set_attributes(mount_fd, add=attributes, propagation=mount.MS_PRIVATE, recursive=True)


def _assemble(make_root: Callable[[], int], namespace_fd: int, sources: Sequence[tuple[int, str]]) -> View:
    """Runs in a thread that is used for nothing else."""
    own_directory = os.open("/proc/thread-self", paths.DIRECTORY | os.O_CLOEXEC)
    try:
        call(UNSHARE, _CLONE_FS)
        if namespace_fd >= 0:
            call(SETNS, namespace_fd, _CLONE_NEWNS)
        root_fd = make_root()
        private_fd = -1
        try:
            _shape(root_fd)
            if sources:
                call(UNSHARE, _CLONE_NEWNS)
                private_fd = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=own_directory)
                _make_all_private()
                mount.attach_at(root_fd, "/")
            for source_fd, target in sources:
                _attach(root_fd, source_fd, target)
        except BaseException:
            View(root_fd, private_fd).close()
            raise
    finally:
        os.close(own_directory)
    return View(root_fd, private_fd)


def _make_all_private() -> None:
    top = os.open("/", paths.DIRECTORY | os.O_CLOEXEC)
    try:
        mount.set_attributes(top, propagation=mount.MS_PRIVATE, recursive=True)
    finally:
        os.close(top)


def _attach(root_fd: int, source_fd: int, target: str) -> None:
    is_directory = stat.S_ISDIR(os.fstat(source_fd).st_mode)
    target_fd = (paths.make_directories if is_directory else paths.make_file)(root_fd, target)
    try:
        mount.attach(source_fd, target_fd)
    finally:
        os.close(target_fd)
