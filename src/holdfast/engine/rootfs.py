# SPDX-License-Identifier: Apache-2.0
"""A container's root file system for the daemon's own work: mounted detached, so that no other process ever sees it.

Called by the jobs create and start, in a thread. Source: fsmount(2), open_tree(2).
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import Internal
from holdfast.kernel import mount, overlay
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


def remove_directory(path: Path) -> None:
    """Deletes one of our own directories, and all in it; one that is gone is no error."""
    shutil.rmtree(path, ignore_errors=True)
