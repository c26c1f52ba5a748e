# SPDX-License-Identifier: Apache-2.0
"""Device nodes, the links of /dev, and the console: made relative to descriptors, never through an image's links.

Runs in the init before the root switch, with umask 0. In a user namespace, where mknod is refused, the host's node is
bound instead. Source: OCI runtime-spec v1.2 §default-devices, mknod(2), CVE-2025-52565.
"""

from __future__ import annotations

import errno
import os

from holdfast.kernel import mount, paths, terminal
from holdfast.runtime import defaults
from holdfast.runtime.channel import Refusal, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.plan import Device
    from holdfast.runtime.rootfs import Root

_DEVPTS_MAGIC = 0x1CD1


def make_devices(root: Root, devices: Sequence[Device]) -> None:
    """Makes the nodes and the links of /dev; what is there already stays."""
    dev_fd = paths.make_directories(root.fd, "/dev")
    try:
        plain: list[Device] = []
        for device in devices:
            directory, _, name = device.path.rpartition("/")
            if directory == "/dev":
                plain.append(device)
                continue
            parent_fd = paths.make_directories(root.fd, directory or "/")
            try:
                _make_device(parent_fd, name, device)
            finally:
                os.close(parent_fd)
        fill(dev_fd, plain)
    finally:
        os.close(dev_fd)


def fill(dev_fd: int, devices: Sequence[Device]) -> None:
    """Makes nodes right below a /dev, and its links."""
    for device in devices:
        _make_device(dev_fd, device.path.rpartition("/")[2], device)
    link(dev_fd, defaults.DEVICE_LINKS)


def _make_device(parent_fd: int, name: str, device: Device) -> None:
    try:
        os.mknod(name, device.kind | device.mode, os.makedev(device.major, device.minor), dir_fd=parent_fd)
        if device.uid or device.gid:
            os.chown(name, device.uid, device.gid, dir_fd=parent_fd, follow_symlinks=False)
    except FileExistsError:
        return
    except PermissionError:
        _bind_device(parent_fd, name, device)
    except OSError as error:
        raise Refusal(
            "devices", error.errno or 0, f'error creating device node "{device.path}": {reason(error)}'
        ) from None


def _bind_device(parent_fd: int, name: str, device: Device) -> None:
    """The host's own node, by its host name (this process still has the host's root), on an empty file."""
    try:
        source_fd = mount.clone(device.path)
        if os.fstat(source_fd).st_rdev != os.makedev(device.major, device.minor):
            raise OSError(errno.ENODEV, "not the device that was asked for")
        target_fd = paths.make_file(parent_fd, name)
        mount.attach(source_fd, target_fd)
        os.close(target_fd)
        os.close(source_fd)
    except OSError as error:
        raise Refusal(
            "devices", error.errno or 0, f'error binding device node "{device.path}": {reason(error)}'
        ) from None


def link(directory_fd: int, links: Sequence[tuple[str, str]]) -> None:
    """Makes (name, target) symlinks in a directory; what is there already stays."""
    for name, target in links:
        try:
            os.symlink(target, name, dir_fd=directory_fd)
        except FileExistsError:
            continue


def open_console(root_fd: int, devpts_fd: int) -> tuple[int, int]:
    """A (master, slave) pair of the container's own devpts, opened by descriptor where this process mounted it."""
    held = -1
    if devpts_fd < 0:
        held = devpts_fd = paths.openat2(root_fd, "/dev/pts", paths.DIRECTORY)
    try:
        if mount.magic(devpts_fd) != _DEVPTS_MAGIC:
            raise Refusal("console", errno.ENOTTY, "/dev/pts of the container is not a devpts")
        return terminal.open_pair(devpts_fd)
    finally:
        if held >= 0:
            os.close(held)


def bind_console(root: Root, slave: int) -> None:
    """Puts the terminal onto /dev/console, from its descriptor."""
    target_fd = paths.make_file(root.fd, "/dev/console", 0o620)
    cover_fd = mount.clone_fd(slave)
    mount.attach(cover_fd, target_fd)
    os.close(cover_fd)
    os.close(target_fd)
