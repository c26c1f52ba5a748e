# SPDX-License-Identifier: Apache-2.0
"""The erofs driver: one read-only file system image per layer, stacked by overlayfs under a container's directory.

    erofs/<id>/layer.erofs   a layer's files, whiteouts in overlayfs's form
    erofs/<id>/below         the directories of the layers below, upmost first, one a line
    erofs/<id>/{diff,work}   of active snapshots: what a container writes
    erofs/<id>/committed     of committed snapshots: name, size, mode of the root

Unpacking writes one file from front to back, with no inode made and one file synced: fewer system calls than overlay2,
though a load takes about as long, since reading the archive dominates it. Images are mounted from their files (Linux
6.12), detached: for a container in its own namespace, and here for looking into a layer, so no mount is ever seen on
the host. Where the kernel and the file system have fs-verity, an image is sealed: what the disk changes in it is an I/O
error, another file in its place is Corrupt, not another container. Limits: as overlay2's, and the data root must not lie on an overlay.
Cost: prepare makes five inodes; a start mounts each layer, about 50 us apiece.
Source: Linux Documentation/filesystems/{erofs,overlayfs}.rst.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from holdfast.errors import Corrupt, InvalidArgument, NotFound, Unsupported
from holdfast.kernel import erofs as kernel
from holdfast.kernel import verity
from holdfast.oci.mount import Mount
from holdfast.snapshots import counting, durability, erofs, names, removal, stock
from holdfast.snapshots.driver import Applied, Usage
from holdfast.snapshots.stock import Committed, Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.snapshots.driver import Readable
    from holdfast.snapshots.tar import Limits

_IMAGE = "layer.erofs"
_LAYER = re.compile("[0-9a-f]{64}|[0-9a-f]{128}")
_HELD_IMAGES = 1024
_PARKED_NUMBERS = 64
"""So many descriptor numbers rest before one is used again: a late reader finds an empty directory there, no other file."""
_EMPTY_TAR = bytes(1024)


def probe() -> str | None:
    """Why the driver cannot work with this kernel, or None; whether it can in a directory is asked when it is opened."""
    return kernel.probe()


def _probe_in(root: str) -> str | None:
    """Mounts an empty image: not every file system can hold one that is mounted from its file."""
    with tempfile.TemporaryFile(dir=root) as file:
        erofs.write_layer(file.fileno(), _Bytes(_EMPTY_TAR), root_mode=0o755)
        return kernel.complaint(f"/proc/self/fd/{file.fileno()}")


class Seals(Protocol):
    """`kernel.verity`."""

    def enable(self, path: str) -> str: ...

    def measure(self, path: str) -> str: ...


class _Unpacked(NamedTuple):
    layer: erofs.Layer
    seal: str


class _Bytes:
    """A readable of a few bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        del size
        data, self._data = self._data, b""
        return data


class Erofs:
    """See the module and `driver.Driver`."""

    name = "erofs"

    def __init__(self, root: str, limits: Limits | None = None, seals: Seals = verity) -> None:
        self._stock = Stock(root, mark="below")
        self.root = root
        self._limits = limits
        self._seals = seals
        self._sealed: dict[str, str] = {}
        self._root_fd = self._stock.fd
        reason = _probe_in(root)
        if reason is not None:
            raise Unsupported(f"storage driver erofs cannot be used in {root}: {reason}")
        os.makedirs(f"{root}/.empty", 0o700, exist_ok=True)
        self._empty_fd = os.open(f"{root}/.empty", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._applied: dict[str, _Unpacked] = {}
        self._held: dict[str, int] = {}
        self._parked: deque[int] = deque()

    # Snapshotter

    def prepare(self, key: str, parent: str | None) -> list[Mount]:
        with self._stock.all_or_nothing(key):
            identity, mode = self._make(key, parent)
            own = f"{self.root}/{identity}"
            os.mkdir(f"{own}/diff", 0o755)
            os.chmod(f"{own}/diff", mode)
            os.mkdir(f"{own}/work", 0o700)
        return self._mounts(identity)

    def view(self, key: str, parent: str | None) -> list[Mount]:
        with self._stock.all_or_nothing(key):
            identity, _ = self._make(key, parent)
            os.mkdir(f"{self.root}/{identity}/empty", 0o755)
        return self._mounts(identity)

    def mounts(self, key: str) -> list[Mount]:
        return self._mounts(self._stock.existing(key))

    def commit(self, name: str, key: str) -> None:
        identity = self._stock.active(key)
        with self._stock.committing(name, identity) as directory_fd:
            unpacked = self._applied.get(identity)
            if unpacked is None:
                raise InvalidArgument(f"snapshot {key} has no layer: only what `apply` has unpacked can be committed")
            layer = unpacked.layer
            record = Committed(
                name, layer.applied.size_bytes, layer.applied.entries, layer.root_mode, verity=unpacked.seal
            )
            stock.write_record(record, directory_fd, is_durable=True)
            for leftover in ("work", "diff"):
                removal.remove(leftover, dir_fd=directory_fd)
            os.fsync(directory_fd)
            self._let_go(identity)
        self._forget(identity)

    def remove(self, key: str) -> None:
        self._forget(self._stock.remove(key))

    def usage(self, key: str) -> Usage:
        identity = self._stock.existing(key)
        committed = self._stock.committed(identity)
        if committed is not None:
            return Usage(committed.size, committed.inodes)
        unpacked = self._applied.get(identity)
        if unpacked is not None:
            return Usage(unpacked.layer.applied.size_bytes, unpacked.layer.applied.entries)
        return counting.count(f"{self.root}/{identity}/diff")

    def apply(self, key: str, tar: Readable) -> Applied:
        identity = self._stock.active(key)
        own = f"{self.root}/{identity}"
        below = self._below(identity)
        self._let_go(identity)
        temporary = f"{own}/{_IMAGE}.new"
        _discard(temporary)
        try:
            layer = self._write(temporary, tar, os.stat(f"{own}/diff").st_mode & 0o7777, below)
            seal = self._seals.enable(temporary)
            os.rename(temporary, f"{own}/{_IMAGE}")
        except OSError as error:
            _discard(temporary)
            raise durability.explained(error, "unpacking the layer") from error
        except BaseException:
            _discard(temporary)
            raise
        with self._lock:
            self._applied[identity] = _Unpacked(layer, seal)
        return layer.applied

    def _write(self, path: str, tar: Readable, root_mode: int, below: list[str]) -> erofs.Layer:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            layer = erofs.write_layer(
                fd,
                tar,
                root_mode=root_mode,
                limits=self._limits,
                inherit=lambda name: stock.attributes(map(self._directory_of, below), name),
            )
            os.fsync(fd)
        finally:
            os.close(fd)
        return layer

    def layers(self, key: str) -> list[str]:
        identity = self._stock.existing(key)
        lowers = [self._directory_of(below) for below in self._below(identity)]
        if os.path.exists(f"{self.root}/{identity}/{_IMAGE}"):
            return [self._directory_of(identity), *lowers]
        own = f"{self.root}/{identity}/diff"
        return [own, *lowers] if self._has_own(identity) else lowers

    # Inventory

    def status(self) -> list[tuple[str, str]]:
        return [("Verity", str(self._is_sealing()).lower())]

    def _is_sealing(self) -> bool:
        """Tries it: the kernel may have fs-verity, and the file system not."""
        path = f"{self.root}/.sealed"
        _discard(path)
        try:
            with open(path, "xb") as file:
                file.write(_EMPTY_TAR)
            try:
                return bool(self._seals.enable(path))
            finally:
                os.unlink(path)
        except OSError:  # a full disk, for instance
            return False

    def exists(self, key: str) -> bool:
        return self._stock.exists(key)

    def iter_names(self) -> Iterator[str]:
        return self._stock.iter_names()

    def iter_keys(self) -> Iterator[str]:
        return self._stock.iter_keys()

    def parent(self, key: str) -> str | None:
        below = self._below(self._stock.existing(key))
        if not below:
            return None
        committed = self._stock.committed(below[0])
        return committed.name if committed else below[0]

    def mend(self, key: str, parent: str | None, *, is_blank: bool) -> bool:
        identity, own = names.directory(key), f"{self.root}/{names.directory(key)}"
        below, mode = self._on(parent)
        has_diff = os.path.isdir(f"{own}/diff")
        if has_diff and os.path.isdir(f"{own}/work") and stock.read_small(f"{own}/below") == "\n".join(below):
            return False
        try:
            os.makedirs(own, 0o700, exist_ok=True)
            _discard(f"{own}/below")
            _write_below(own, below)
            if is_blank and not has_diff:
                os.mkdir(f"{own}/diff", 0o755)
                os.chmod(f"{own}/diff", mode)
            os.makedirs(f"{own}/work", 0o700, exist_ok=True)
        except OSError as error:
            raise durability.explained(error, f"snapshot {key}") from error
        self._has_own(identity)
        return True

    def purge(self, is_wanted: Callable[[str], bool]) -> None:
        for identity in self._stock.leftovers(is_wanted):
            self.remove(identity)

    # the parts of a snapshot's directory

    def _make(self, key: str, parent: str | None) -> tuple[str, int]:
        """The directory with what lies below it; returns its name and the mode for a new root."""
        below, mode = self._on(parent)
        for layer in below:
            self._image(layer)
        identity = self._stock.make(key, len(below))
        _write_below(f"{self.root}/{identity}", below)
        return identity, mode

    def _on(self, parent: str | None) -> tuple[list[str], int]:
        """What a child of the committed parent has below it, and its root's mode."""
        if parent is None:
            return [], 0o755
        upmost = names.directory(parent)
        record = self._stock.committed(upmost)
        if record is None:
            raise NotFound(f"parent snapshot {parent} not found")
        return [upmost, *self._below(upmost)], record.root_mode

    def _has_own(self, identity: str) -> bool:
        """Tells whether a snapshot that is not committed can be written, or shows only what is below; Corrupt."""
        is_active, has_diff = self._stock.is_active(identity), os.path.isdir(f"{self.root}/{identity}/diff")
        if is_active != has_diff:
            raise self._stock.damage(identity, "diff is missing" if is_active else "work is missing")
        return is_active

    def _mounts(self, identity: str) -> list[Mount]:
        own = f"{self.root}/{identity}"
        lowers = [self._image(below) for below in self._below(identity)]
        if self._has_own(identity):
            if not lowers:
                return [Mount("bind", f"{own}/diff", "/", ("rbind", "rw"))]
            options = (f"lowerdir={':'.join(lowers)}", f"upperdir={own}/diff", f"workdir={own}/work")
            return [Mount("overlay", "overlay", "/", options)]
        if not lowers:
            return [Mount("bind", f"{own}/empty", "/", ("rbind", "ro"))]
        lowers.append(f"{own}/empty")  # overlayfs wants two layers or an upper one
        return [Mount("overlay", "overlay", "/", (f"lowerdir={':'.join(lowers)}", "ro"))]

    def _directory_of(self, identity: str) -> str:
        """A path to a layer's files: through a descriptor of a mount that nobody else sees."""
        with self._lock:
            fd = self._held.pop(identity, -1)
            if fd < 0:
                fd = self._open(identity)
            self._held[identity] = fd  # the last one is the one used last
            if len(self._held) > _HELD_IMAGES:
                self._park(self._held.pop(next(iter(self._held))))
            return f"/proc/self/fd/{fd}"

    def _image(self, identity: str) -> str:
        """The path of a layer's image; Corrupt when it was sealed and is not what was sealed. Two system calls then."""
        path = f"{self.root}/{identity}/{_IMAGE}"
        seal = self._sealed.get(identity)
        if seal is None:
            record = self._stock.committed(identity)
            seal = record.verity if record else ""
            if record:
                self._sealed[identity] = seal
            elif not os.path.exists(path):
                raise Corrupt(f"layer {identity} is missing: remove what stands on it and pull its image again")
        if seal and self._seals.measure(path) != seal:
            raise Corrupt(f"layer {identity} is not the image that was sealed: remove its image and pull it again")
        return path

    def _open(self, identity: str) -> int:
        try:
            fd = kernel.open_image(self._image(identity))
        except OSError as error:
            raise Corrupt(f"layer {identity} cannot be mounted: {error.strerror}") from error
        if len(self._parked) <= _PARKED_NUMBERS:
            return fd
        number = self._parked.popleft()
        os.dup2(fd, number, inheritable=False)
        os.close(fd)
        return number

    def _park(self, fd: int) -> None:
        os.dup2(self._empty_fd, fd, inheritable=False)
        self._parked.append(fd)

    def _below(self, identity: str) -> list[str]:
        text = stock.read_small(f"{self.root}/{identity}/below")
        if text is None:
            raise NotFound(f"snapshot {identity} not found")
        below = text.split()
        if not all(map(_LAYER.fullmatch, below)):
            raise self._stock.damage(identity, "below cannot be read")
        return below

    def _let_go(self, identity: str) -> None:
        with self._lock:
            fd = self._held.pop(identity, -1)
            if fd >= 0:
                self._park(fd)

    def _forget(self, identity: str) -> None:
        self._let_go(identity)
        with self._lock:
            self._applied.pop(identity, None)
            self._sealed.pop(identity, None)


def _write_below(directory: str, below: list[str]) -> None:
    fd = os.open(f"{directory}/below", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, "\n".join(below).encode())
    finally:
        os.close(fd)


def _discard(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
