# SPDX-License-Identifier: Apache-2.0
"""A container's root file system for the daemon's own work: mounted detached, so that no other process ever sees it.

Called by the jobs create and start, in a thread. Source: fsmount(2), open_tree(2).
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.containers import rootfs_view
from holdfast.errors import Internal, InvalidArgument
from holdfast.kernel import mount, overlay, paths
from holdfast.oci.mount import Mount


@contextmanager
def mounted(mounts: Sequence[Mount]) -> Generator[int]:
    """The descriptor of the mounted root; gone with the block. Blocks for about 0.3 ms."""
    if len(mounts) != 1:
        raise Internal(f"a root file system of {len(mounts)} mounts cannot be mounted detached")
    fd = detached(mounts[0])
    try:
        yield fd
    finally:
        os.close(fd)


def detached(only: Mount) -> int:
    """One mount of a snapshot without a place; the caller closes the descriptor."""
    return overlay.new(only.options) if only.type == "overlay" else mount.clone(only.source)


def mark(mounts: Sequence[Mount]) -> None:
    """Puts `/.dockerenv` into a container's own layer: programs look for it to learn that they are in a container."""
    prefix = "upperdir="
    upper = next((word[len(prefix) :] for word in mounts[0].options if word.startswith(prefix)), mounts[0].source)
    try:
        os.mknod(f"{upper}/.dockerenv", stat.S_IFREG | 0o755)  # follows no link; one system call
    except FileExistsError:
        return


def make_working_directory(mounts: Sequence[Mount], layers: Sequence[str], chain_id: str, path: str) -> None:
    """Makes a container's working directory where its image has none, so that files can be copied there before a start.

    `layers` are the snapshot's, its own first. InvalidArgument for a path that is, or leads through, a file, and for
    one that no file system takes.
    """
    if path in ("", "/") or (chain_id and _is_directory_of_image(chain_id, tuple(layers[1:]), path)):
        return
    with mounted(mounts) as root_fd:
        try:
            os.close(paths.make_directories(root_fd, path))
        except (NotADirectoryError, FileExistsError):
            raise InvalidArgument(f"Cannot mkdir: {path} is not a directory") from None
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
                raise
            raise InvalidArgument(f"Cannot mkdir: {path}: {os.strerror(error.errno)}") from None


@functools.lru_cache(maxsize=256)
def _is_directory_of_image(_chain_id: str, layers: tuple[str, ...], path: str) -> bool:
    """A chain never changes, so it is looked at once."""
    return bool(layers) and rootfs_view.find_directory(layers, path) is not None


def remove_directory(path: Path) -> None:
    """Deletes one of our own directories, and all in it; one that is gone is no error."""
    shutil.rmtree(path, ignore_errors=True)
