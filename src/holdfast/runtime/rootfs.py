# SPDX-License-Identifier: Apache-2.0
"""The container's tree, built in its own mount namespace: root, mounts, masks, read-only paths, and the root switch.

Everything goes through descriptors below the root's (`Root.fd`): no name is looked up twice and none on the host,
whatever links the image has (security.md R4, R5; CVE-2021-30465, CVE-2025-31133, CVE-2025-52881).
Runs in the init between clone3 and execve. Source: OCI runtime-spec v1.2 §mounts, §linux; pivot_root(2).
"""

from __future__ import annotations

import errno
import os
import stat

from holdfast.kernel import mount, overlay, paths
from holdfast.runtime.channel import Refusal, reason
from holdfast.runtime.mounts import is_allowed_in_proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.mounts import PlannedMount

NULL_DEVICE = os.makedev(1, 3)
_ORDINARY = ("proc", "sysfs")
_PROC_ROOT_INODE = 1
_PROC_MAGIC = 0x9FA0


class Root:
    """The container's tree while it is being built, and what must be kept in hand until it is finished."""

    __slots__ = ("devpts_fd", "fd", "null_fd", "proc_device", "proc_fd")

    def __init__(self, fd: int, null_fd: int) -> None:
        self.fd = fd
        self.null_fd = null_fd
        self.proc_fd = -1
        self.proc_device = -1
        self.devpts_fd = -1


def make_detached(planned: PlannedMount) -> int:
    """The mount without a place: a bind's copy, an overlay or a new file system."""
    if planned.bind:
        fd = _clone_source(planned)
        if planned.attributes_add or planned.attributes_remove:
            mount.set_attributes(fd, add=planned.attributes_add, remove=planned.attributes_remove)
    elif planned.fstype == "overlay":
        fd = overlay.new(planned.data, source=planned.source or "overlay", attributes=planned.attributes_add)
    else:
        fd = mount.new(
            planned.fstype, planned.data, source=planned.source or planned.fstype, attributes=planned.attributes_add
        )
    if planned.tree_add or planned.tree_remove:
        mount.set_attributes(fd, add=planned.tree_add, remove=planned.tree_remove, recursive=True)
    if planned.id_maps is not None:
        # few containers have such mounts, and no init makes one
        from holdfast.kernel import user_namespace

        userns_fd = user_namespace.open_mapped(*planned.id_maps)
        mount.set_attributes(fd, add=mount.ATTR_IDMAP, userns_fd=userns_fd, recursive=planned.maps_tree)
        os.close(userns_fd)
    return fd


def _clone_source(planned: PlannedMount) -> int:
    """The bind's copy; of a subpath, whatever links somebody puts there now, never what is outside (CVE-2021-25741)."""
    if not planned.subpath:
        return mount.clone(planned.source, recursive=planned.recursive)
    top_fd = paths.open_root(planned.source)
    try:
        return _clone_below(top_fd, planned)
    finally:
        os.close(top_fd)


def _clone_below(top_fd: int, planned: PlannedMount) -> int:
    try:
        found_fd = paths.openat2(top_fd, planned.subpath, os.O_PATH, resolve=paths.BENEATH)
    except OSError as error:
        if error.errno == errno.EXDEV:
            text = f"path concatenation escapes the base directory, base: {planned.source}, subpath: {planned.subpath}"
        else:
            text = f"cannot access path {planned.source}/{planned.subpath}: {reason(error)}"
        raise Refusal("mounts", error.errno or 0, text) from None
    try:
        return mount.clone_fd(found_fd, recursive=planned.recursive)
    finally:
        os.close(found_fd)


def _narrow(root: Root, whole_fd: int, planned: PlannedMount) -> int:
    """A part of a new file system. Kernels before 6.15 copy attached mounts only: it lies on the root for a moment."""
    mount.attach(whole_fd, root.fd)
    part_fd = _clone_below(whole_fd, planned)
    os.fchdir(whole_fd)
    mount.unmount(".")
    os.chdir("/")
    os.close(whole_fd)
    return part_fd


def isolate(propagation: tuple[int, bool]) -> None:
    """Cuts the new namespace's mounts off from the host's: nothing that is mounted here is seen there."""
    kind, recursive = propagation
    if kind in (mount.MS_SHARED, mount.MS_UNBINDABLE):
        kind, recursive = mount.MS_SLAVE, True
    if not recursive:
        mount.mount("", "/", "", mount.MS_SLAVE | mount.MS_REC)
    mount.mount("", "/", "", kind | (mount.MS_REC if recursive else 0))


def attach_root(detached: Sequence[int], planned: Sequence[PlannedMount], root_path: str) -> Root:
    """Puts the root on top of the host's `/` (of this namespace) and opens what must come from the host."""
    null_fd = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    found = os.fstat(null_fd)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != NULL_DEVICE:
        raise Refusal("rootfs", 0, "/dev/null of the host is not the null device")
    try:
        root_fd = detached[0] if detached else mount.clone(root_path, recursive=True)
    except OSError as error:
        raise Refusal("rootfs", error.errno or 0, f"rootfs {root_path}: {reason(error)}") from None
    mount.attach_at(root_fd, "/")
    root = Root(root_fd, null_fd)
    for fd, mounted in zip(detached[1:], planned[1:], strict=True):
        _place(root, fd, mounted)
    return root


def apply_mounts(root: Root, planned: Sequence[PlannedMount], prepared: Sequence[int]) -> None:
    """Places the mounts in their order, making those that the maker could not (-1 in `prepared`)."""
    for each, fd in zip(planned, prepared, strict=True):
        try:
            if fd < 0:
                _apply_mount(root, each)
            else:
                _place(root, fd, each)
                if each.fstype == "devpts":
                    root.devpts_fd = fd
        except OSError as error:
            raise explain(each, error) from None


def explain(planned: PlannedMount, error: OSError) -> Refusal:
    """A failed mount with its source and target, as Docker's text has it."""
    hint = ""
    if isinstance(error, NotADirectoryError):
        hint = (
            ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path"
            " exists and is the expected type"
        )
    text = f'error mounting "{planned.source}" to rootfs at "{planned.target}": {reason(error)}{hint}'
    return Refusal("mounts", error.errno or 0, text)


def _apply_mount(root: Root, planned: PlannedMount) -> None:
    if planned.is_tmpfs:
        _apply_tmpfs(root, planned)
        return
    try:
        fd = make_detached(planned)
    except PermissionError:
        if planned.fstype != "sysfs":
            raise
        fd = mount.clone("/sys", recursive=True)  # a user namespace does not own the network namespace
        mount.set_attributes(fd, add=planned.attributes_add)
    if planned.fstype == "proc":
        root.proc_fd = fd
        root.proc_device = os.fstat(fd).st_dev
    elif planned.fstype == "devpts":
        root.devpts_fd = fd
    if planned.propagation:
        mount.set_attributes(fd, propagation=planned.propagation, recursive=planned.propagation_recursive)
    _place(root, fd, planned)


def _apply_tmpfs(root: Root, planned: PlannedMount) -> None:
    """A tmpfs takes the mode of the directory that it covers, unless it is given one or makes the directory."""
    data = planned.data
    if not any(word.startswith("mode=") for word in data):
        try:
            covered_fd = paths.openat2(root.fd, planned.target, paths.DIRECTORY)
        except FileNotFoundError:
            pass
        else:
            data = (*data, f"mode={stat.S_IMODE(os.fstat(covered_fd).st_mode):o}")
            os.close(covered_fd)
    fd = mount.new("tmpfs", data, source=planned.source or "tmpfs", attributes=planned.attributes_add)
    if planned.propagation:
        mount.set_attributes(fd, propagation=planned.propagation, recursive=planned.propagation_recursive)
    _place(root, fd, planned)


def _place(root: Root, fd: int, planned: PlannedMount) -> None:
    if planned.subpath and not planned.bind:
        fd = _narrow(root, fd, planned)
    make_target = paths.make_directories if _is_directory(fd) else paths.make_file
    target_fd = make_target(root.fd, planned.target)
    try:
        _refuse_proc(root, fd, target_fd, planned)
        if planned.fstype in _ORDINARY and os.readlink(f"/proc/self/fd/{target_fd}") != planned.target:
            text = f'filesystem "{planned.fstype}" must be mounted on ordinary directory'
            raise Refusal(
                "mounts", errno.ENOTDIR, f'error mounting "{planned.source}" to rootfs at "{planned.target}": {text}'
            )
        try:
            mount.attach(fd, target_fd)
        except OSError as error:
            if error.errno == errno.EINVAL and _is_directory(fd) != _is_directory(target_fd):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None  # as mount(2) calls it
            raise
    finally:
        os.close(target_fd)


def _is_directory(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def _refuse_proc(root: Root, fd: int, target_fd: int, planned: PlannedMount) -> None:
    """Nothing covers the container's /proc or what is in it but the few files that may be, by whatever name."""
    on_proc = root.proc_device >= 0 and os.fstat(target_fd).st_dev == root.proc_device
    if not on_proc and planned.target != "/proc":
        return
    if planned.target == "/proc" and not on_proc:
        source = os.fstat(fd)
        if planned.fstype == "proc" or (source.st_ino == _PROC_ROOT_INODE and mount.magic(fd) == _PROC_MAGIC):
            return
    real = os.readlink(f"/proc/self/fd/{target_fd}")
    if not is_allowed_in_proc(real):
        text = f'"{real}" cannot be mounted because it is inside /proc'
        raise Refusal("mounts", 1, f'error mounting "{planned.source}" to rootfs at "{planned.target}": {text}')


def mask(root: Root, masked: Sequence[str]) -> None:
    """Covers files with the host's null device and directories with one empty tmpfs, all read-only.

    Read-only matters for the device: its inode is the host's, and a container's root could chmod it otherwise.
    """
    null_fd = empty_fd = -1
    for path in masked:
        try:
            target_fd = paths.openat2(root.fd, path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(os.fstat(target_fd).st_mode):
            if empty_fd < 0:
                cover_fd = empty_fd = mount.new("tmpfs", ("ro",), source="tmpfs", attributes=mount.ATTR_RDONLY)
            else:
                cover_fd = mount.clone_fd(empty_fd)
        elif null_fd < 0:
            cover_fd = null_fd = mount.clone_fd(root.null_fd)
            attributes = mount.ATTR_RDONLY | mount.ATTR_NOSUID | mount.ATTR_NOEXEC
            mount.set_attributes(null_fd, add=attributes, propagation=mount.MS_PRIVATE)
        else:
            cover_fd = mount.clone_fd(null_fd)
        mount.attach(cover_fd, target_fd)
        os.close(target_fd)
        if cover_fd not in (null_fd, empty_fd):
            os.close(cover_fd)
    for fd in (null_fd, empty_fd):
        if fd >= 0:
            os.close(fd)


def make_readonly(root: Root, readonly: Sequence[str]) -> None:
    """Mounts each path over itself, read-only with all that is below."""
    for path in readonly:
        try:
            target_fd = paths.openat2(root.fd, path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            continue
        cover_fd = mount.clone_fd(target_fd, recursive=True)
        mount.set_attributes(cover_fd, add=mount.ATTR_RDONLY, recursive=True)
        mount.attach(cover_fd, target_fd)
        os.close(cover_fd)
        os.close(target_fd)


def switch(root: Root, *, readonly: bool, propagation: tuple[int, bool]) -> None:
    """Makes the tree this process's root and lets go of the host's."""
    if readonly:
        mount.set_attributes(root.fd, add=mount.ATTR_RDONLY)
    os.fchdir(root.fd)
    mount.pivot_root(".", ".")
    mount.unmount(".")
    os.chdir("/")
    kind, recursive = propagation
    if kind in (mount.MS_SHARED, mount.MS_UNBINDABLE):
        mount.set_attributes(root.fd, propagation=kind, recursive=recursive)


def write_sysctls(root: Root, sysctls: Sequence[tuple[str, str]]) -> None:
    """Writes the container's own kernel parameters through a procfs that we mounted and nobody has covered."""
    if not sysctls:
        return
    proc_fd = root.proc_fd if root.proc_fd >= 0 else mount.new("proc", source="proc")
    for name, value in sysctls:
        try:
            fd = paths.openat2(proc_fd, f"sys/{name}", os.O_WRONLY, resolve=paths.PLAIN | paths.RESOLVE_NO_XDEV)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        except OSError as error:
            verb = "write" if error.errno == errno.EINVAL else "open"
            raise Refusal("sysctl", error.errno or 0, f"{verb} /proc/sys/{name}: {reason(error)}") from None
