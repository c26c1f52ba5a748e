# SPDX-License-Identifier: Apache-2.0
"""Mounts an EROFS image straight from its file: no loop device, no place in any mount table.

Linux 6.12 and newer (CONFIG_EROFS_FS_BACKED_BY_FILE). Called by `overlay` for layers that are files, and by the erofs
snapshot driver to look into one. Source: Documentation/filesystems/erofs.rst, fsopen(2).
"""

from __future__ import annotations

import errno
import os

from holdfast.kernel import mount

_READ_ONLY = 0x1


def open_image(path: str) -> int:
    """The descriptor of a detached read-only mount of the image in a file; it lasts as long as the descriptor.

    OSError: ENODEV when the kernel has no EROFS, ENOTBLK when it mounts block devices only, EUCLEAN or EINVAL for a
    file that is no image.
    """
    context = mount.Context("erofs")
    held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        context.set("source", f"/proc/self/fd/{held}")
        context.set("ro")
        return context.create(_READ_ONLY)
    except OSError as error:
        raise mount.explained(error, context) from None
    finally:
        context.close()
        os.close(held)


def probe() -> str | None:
    """Why the kernel cannot mount any image, or None. Asking for the file system loads its module where it is one."""
    try:
        mount.Context("erofs").close()
    except OSError as error:
        if error.errno == errno.ENODEV:
            return "the kernel has no erofs file system (try: modprobe erofs)"
        return f"the kernel refuses erofs: {(error.strerror or '').lower()}"
    return None


def complaint(path: str) -> str | None:
    """Why the image in that file cannot be mounted, or None."""
    try:
        os.close(open_image(path))
    except OSError as error:
        if error.errno == errno.ENOTBLK:
            return "images cannot be mounted from files here (it takes Linux 6.12 and a file system that is not tmpfs)"
        return f"the kernel refuses an image: {(error.strerror or '').lower()}"
    return None
