# SPDX-License-Identifier: Apache-2.0
"""Detached overlay mounts of hundreds of layers, on new kernels and on old ones.

From Linux 6.8 on each layer is a parameter of its own (`lowerdir+`). Before, all layers share one text of at most 255
bytes; there they are named by descriptor numbers, relative to a working directory of /proc/self/fd: 60 layers and more.
What is still too long is mounted with mount(2), which takes a page of text, in a mount namespace of the moment.
An old kernel takes `lowerdir+` without a word and fails at the end, so the version decides, not a try.
Source: Documentation/filesystems/overlayfs.rst, fsconfig(2); seen on 6.1 and 6.18.
"""

from __future__ import annotations

import os

from holdfast.kernel import mount, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT_LIMIT = 255
_LAYER_BY_LAYER = (6, 8)
IMAGE_SUFFIX = ".erofs"
"""A layer of this name is no directory but a file system image, mounted for this overlay alone."""


def takes_layers_one_by_one(release: str) -> bool:
    """Whether a kernel of this release (`6.1.0-13-amd64`) knows `lowerdir+`."""
    major, _, rest = release.partition(".")
    minor = rest.split(".")[0].split("-")[0]
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= _LAYER_BY_LAYER


def new(options: Sequence[str], *, source: str = "overlay", attributes: int = 0) -> int:
    """The descriptor of a detached overlay; `lowerdir=` names the layers, upmost first, divided by colons.

    On an old kernel the calling thread gets a working directory of its own, which is the same as before afterwards.
    """
    context = mount.Context("overlay")
    held: list[int] = []
    try:
        context.set("source", source)
        lowers: list[str] = []
        for option in options:
            key, equals, value = option.partition("=")
            if key == "lowerdir":
                lowers = split_lowers(value)
            elif key in ("upperdir", "workdir"):
                context.set(key, _short(value, held))
            else:
                context.set(key, value if equals else None)
        if takes_layers_one_by_one(os.uname().release):
            for lower in lowers:
                if lower.endswith(IMAGE_SUFFIX):
                    context.set_fd("lowerdir+", _hold_image(lower, held))
                else:
                    context.set("lowerdir+", _short(lower, held))
            return context.create(attributes)
        numbers = ":".join(str(_hold(lower, held)) for lower in lowers)
        if len(numbers) <= _TEXT_LIMIT:
            return _create_by_numbers(context, numbers, attributes)
        rest = [option for option in options if not option.startswith("lowerdir=")]
        return _mount_by_numbers(lowers, rest, source, attributes)
    except OSError as error:
        raise mount.explained(error, context) from None
    finally:
        context.close()
        for fd in held:
            os.close(fd)


def _create_by_numbers(context: mount.Context, numbers: str, attributes: int) -> int:
    namespaces.unshare(namespaces.FILESYSTEM)
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir("/proc/thread-self/fd")
        context.set("lowerdir", numbers)
        return context.create(attributes)
    finally:
        os.fchdir(before)
        os.close(before)


def _mount_by_numbers(lowers: Sequence[str], rest: Sequence[str], source: str, attributes: int) -> int:
    """Mounts where nobody else sees it, onto the upmost layer, and takes a detached copy home."""
    held: list[int] = []
    home = namespaces.open_own(namespaces.NEWNS)
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        namespaces.unshare(namespaces.NEWNS)
        try:
            mount.mount("", "/", "", mount.MS_PRIVATE | mount.MS_REC)
            numbers = ":".join(str(_hold(lower, held)) for lower in lowers)  # of this namespace: others are refused
            os.chdir("/proc/thread-self/fd")
            mount.mount(source, lowers[0], "overlay", data=",".join([f"lowerdir={numbers}", *rest]))
            fd = mount.clone(lowers[0])
        finally:
            namespaces.setns(home, namespaces.NEWNS)
            os.fchdir(before)
    finally:
        for each in (*held, before, home):
            os.close(each)
    if attributes:
        mount.set_attributes(fd, add=attributes)
    return fd


def split_lowers(value: str) -> list[str]:
    """The directories of a `lowerdir=` value; a backslash keeps a colon in a name."""
    if "\\" not in value:
        return value.split(":")
    lowers = [""]
    characters = iter(value)
    for character in characters:
        if character == "\\":
            lowers[-1] += next(characters, "")
        elif character == ":":
            lowers.append("")
        else:
            lowers[-1] += character
    return lowers


def _short(path: str, held: list[int]) -> str:
    return path if len(mount.encode(path)) <= _TEXT_LIMIT else f"/proc/self/fd/{_hold(path, held)}"


def _hold_image(path: str, held: list[int]) -> int:
    from holdfast.kernel import erofs  # few containers have such layers

    held.append(erofs.open_image(path))
    return held[-1]


def _hold(path: str, held: list[int]) -> int:
    held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return held[-1]
