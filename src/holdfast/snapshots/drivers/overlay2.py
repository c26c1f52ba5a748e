# SPDX-License-Identifier: Apache-2.0
"""The overlay2 driver: one directory per layer, stacked by the kernel's overlay when a container starts.

    overlay2/<id>/diff        the layer's files, whiteouts in overlayfs's form
    overlay2/<id>/link        the layer's short name
    overlay2/<id>/lower       the short links of all layers below, upmost first
    overlay2/<id>/work        overlayfs's scratch, of active snapshots only
    overlay2/<id>/merged      a mount point for those who want one; the runtime mounts in its own namespace
    overlay2/<id>/committed   of committed snapshots: name and size
    overlay2/l/<short>        -> ../<id>/diff

A committed snapshot appears by one rename, after the file system has been synced; a removed one disappears by one
rename to `.gone-…` and is deleted then. Cost: prepare makes seven inodes (about 0.2 ms) and reads nothing once the
parent is known. Limits: the root's path may hold neither comma, colon nor backslash; up to 500 layers.
Source: Linux Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import re
import stat
import threading
from typing import TYPE_CHECKING

from holdfast.errors import Corrupt, NotFound
from holdfast.kernel import mount
from holdfast.oci.mount import Mount
from holdfast.snapshots import apply as applying
from holdfast.snapshots import counting, durability, names, removal, stock, whiteouts
from holdfast.snapshots.driver import Applied, Usage
from holdfast.snapshots.stock import Committed, Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from holdfast.snapshots.driver import Readable
    from holdfast.snapshots.tar import Limits

_LINKS = "l"
_LOWER = re.compile(r"l/[A-Z2-7]{26}")


def probe() -> str | None:
    """Why the driver cannot work here, or None. Asking for the file system loads its module where it is one."""
    try:
        mount.Context("overlay").close()
    except OSError as error:
        if error.errno != errno.ENODEV:
            return f"the kernel refuses overlay: {(error.strerror or '').lower()}"
    else:
        return None
    return "the kernel has no overlay file system (try: modprobe overlay)"


class Overlay2:
    """See the module and `driver.Driver`."""

    name = "overlay2"

    def __init__(self, root: str, limits: Limits | None = None) -> None:
        self._stock = Stock(root, mark="link", reserved=frozenset({_LINKS}))
        self.root = root
        self._limits = limits
        self._root_fd = self._stock.fd
        os.makedirs(f"{root}/{_LINKS}", 0o700, exist_ok=True)
        self._lock = threading.Lock()
        self._umask = applying.umask()
        self._parents: dict[str, tuple[tuple[str, ...], int]] = {}
        self._below: dict[str, tuple[str, ...]] = {}
        self._applied: dict[str, Applied] = {}

    # Snapshotter

    def prepare(self, key: str, parent: str | None) -> list[Mount]:
        with self._stock.all_or_nothing(key):
            lowers, mode = self._make(key, parent)
            identity = names.directory(key)
            os.mkdir(f"{identity}/diff", 0o755, dir_fd=self._root_fd)
            if mode != 0o755 or self._umask & 0o755:
                os.chmod(f"{self.root}/{identity}/diff", mode)
            os.mkdir(f"{identity}/work", 0o700, dir_fd=self._root_fd)
            os.mkdir(f"{identity}/merged", 0o700, dir_fd=self._root_fd)
        return self._overlay(identity, lowers)

    def view(self, key: str, parent: str | None) -> list[Mount]:
        with self._stock.all_or_nothing(key):
            lowers, _ = self._make(key, parent)
            identity = names.directory(key)
            os.mkdir(f"{identity}/merged", 0o700, dir_fd=self._root_fd)
        return self._read_only(identity, lowers)

    def mounts(self, key: str) -> list[Mount]:
        identity = self._stock.existing(key)
        lowers = self._lowers(identity)
        has_own = self._has_own(identity)
        return (self._overlay if has_own else self._read_only)(identity, lowers)

    def commit(self, name: str, key: str) -> None:
        identity, target = self._stock.active(key), names.directory(name)
        with self._stock.committing(name, identity) as directory_fd:
            usage = self._measure(identity)
            stock.write_record(Committed(name, usage.size_bytes, usage.inodes), directory_fd, is_durable=False)
            self._write_link(directory_fd, target)
            removal.remove("work", dir_fd=directory_fd)
            removal.remove("merged", dir_fd=directory_fd)
            durability.sync_file_system(directory_fd)
        if identity != target:
            self._unlink(f"{_LINKS}/{_short(identity)}")
        self._forget(identity)

    def remove(self, key: str) -> None:
        identity = names.directory(key)
        try:
            self._stock.remove(key)
        except NotFound:  # its link may be there all the same
            self._unlink(f"{_LINKS}/{_short(identity)}")
            raise
        self._forget(identity)
        self._unlink(f"{_LINKS}/{_short(identity)}")

    def usage(self, key: str) -> Usage:
        identity = self._stock.existing(key)
        committed = self._stock.committed(identity)
        return self._measure(identity) if committed is None else Usage(committed.size, committed.inodes)

    def apply(self, key: str, tar: Readable) -> Applied:
        identity = self._stock.active(key)
        self._spread(identity)
        lowers = [self._real(link) for link in self._lowers(identity)]
        applied = applying.unpack(
            f"{self.root}/{identity}/diff",
            tar,
            whiteouts.Overlay(),
            limits=self._limits,
            inherit=lambda path: stock.attributes(lowers, path),
        )
        with self._lock:
            self._applied[identity] = applied
        return applied

    def layers(self, key: str) -> list[str]:
        identity = self._stock.existing(key)
        own = f"{self.root}/{identity}/diff"
        lowers = [self._real(link) for link in self._lowers(identity)]
        if os.path.isdir(own):
            return [own, *lowers]
        self._has_own(identity)
        return lowers

    # Inventory

    def exists(self, key: str) -> bool:
        return self._stock.exists(key)

    def iter_names(self) -> Iterator[str]:
        return self._stock.iter_names()

    def iter_keys(self) -> Iterator[str]:
        return self._stock.iter_keys()

    def parent(self, key: str) -> str | None:
        lowers = self._lowers(self._stock.existing(key))
        if not lowers:
            return None
        identity = os.path.basename(os.path.dirname(self._real(lowers[0])))
        committed = self._stock.committed(identity)
        return committed.name if committed else identity

    def status(self) -> list[tuple[str, str]]:
        return []

    def mend(self, key: str, parent: str | None, *, is_blank: bool) -> bool:
        identity = names.directory(key)
        lowers, mode = ((), 0o755) if parent is None else self._on(parent)
        if self._is_whole(identity, lowers):
            return False
        own = f"{self.root}/{identity}"
        try:
            os.makedirs(own, 0o700, exist_ok=True)
            with _directory(identity, self._root_fd) as directory_fd:
                self._write_link(directory_fd, identity)
                removal.remove("lower", dir_fd=directory_fd)
                if lowers:
                    _write_small("lower", ":".join(lowers), directory_fd)
            if is_blank and not os.path.isdir(f"{own}/diff"):
                os.mkdir(f"{own}/diff", 0o755)
                os.chmod(f"{own}/diff", mode)
            for name in ("work", "merged"):
                os.makedirs(f"{own}/{name}", 0o700, exist_ok=True)
        except OSError as error:
            raise durability.explained(error, f"snapshot {key}") from error
        self._below[identity] = lowers
        self._has_own(identity)
        return True

    def purge(self, is_wanted: Callable[[str], bool]) -> None:
        for identity in self._stock.leftovers(is_wanted):
            self.remove(identity)
        for link in os.listdir(f"{self.root}/{_LINKS}"):
            if not os.path.exists(f"{self.root}/{_LINKS}/{link}"):
                self._unlink(f"{_LINKS}/{link}")

    # the parts of a snapshot's directory

    def _make(self, key: str, parent: str | None) -> tuple[tuple[str, ...], int]:
        """The directory with its link and lower files; returns the lower links and the mode for a new root."""
        lowers, mode = ((), 0o755) if parent is None else self._on(parent)
        identity = self._stock.make(key, len(lowers))
        with _directory(identity, self._root_fd) as directory_fd:
            self._write_link(directory_fd, identity)
            if lowers:
                _write_small("lower", ":".join(lowers), directory_fd)
        self._below[identity] = lowers
        return lowers, mode

    def _on(self, parent: str) -> tuple[tuple[str, ...], int]:
        """What a child of the committed parent has below it, and its root's mode; from memory after the first time."""
        below = names.directory(parent)
        known = self._parents.get(below)
        if known is None:
            if self._stock.committed(below) is None:
                raise NotFound(f"parent snapshot {parent} not found")
            mode = stat.S_IMODE(os.stat(f"{self.root}/{below}/diff").st_mode)
            known = self._parents[below] = ((f"{_LINKS}/{_short(below)}", *self._lowers(below)), mode)
        return known

    def _write_link(self, directory_fd: int, identity: str) -> None:
        short = _short(identity)
        with contextlib.suppress(FileExistsError):
            os.symlink(f"../{identity}/diff", f"{_LINKS}/{short}", dir_fd=self._root_fd)
        _write_small("link", short, directory_fd)

    def _is_whole(self, identity: str, lowers: tuple[str, ...]) -> bool:
        """Tells whether there is everything that `prepare` made on these layers."""
        own = f"{self.root}/{identity}"
        return (
            stock.read_small(f"{own}/link") == _short(identity)
            and stock.read_small(f"{own}/lower") == (":".join(lowers) if lowers else None)
            and os.path.isdir(f"{own}/diff")
            and os.path.isdir(f"{own}/work")
        )

    def _has_own(self, identity: str) -> bool:
        """Tells whether a snapshot that is not committed can be written, or shows only what is below; Corrupt."""
        is_active, has_diff = self._stock.is_active(identity), os.path.isdir(f"{self.root}/{identity}/diff")
        if is_active and not has_diff:
            raise self._stock.damage(identity, "diff is missing")
        if has_diff and not is_active and self._stock.committed(identity) is None:
            raise self._stock.damage(identity, "work is missing")
        return is_active

    def _lowers(self, identity: str) -> tuple[str, ...]:
        """The short links below a snapshot; they never change, so they are kept in memory."""
        known = self._below.get(identity)
        if known is None:
            text = stock.read_small(f"{self.root}/{identity}/lower")
            known = () if text is None else tuple(text.split(":"))
            if not all(map(_LOWER.fullmatch, known)):
                raise self._stock.damage(identity, "lower cannot be read")
            self._below[identity] = known
        return known

    def _overlay(self, identity: str, lowers: tuple[str, ...]) -> list[Mount]:
        own = f"{self.root}/{identity}"
        if not lowers:
            return [Mount("bind", f"{own}/diff", "/", ("rbind", "rw"))]
        lowerdir = ":".join(f"{self.root}/{link}" for link in lowers)
        options = (f"lowerdir={lowerdir}", f"upperdir={own}/diff", f"workdir={own}/work")
        return [Mount("overlay", "overlay", "/", options)]

    def _read_only(self, identity: str, lowers: tuple[str, ...]) -> list[Mount]:
        if not lowers:
            return [Mount("bind", f"{self.root}/{identity}/merged", "/", ("rbind", "ro"))]
        if len(lowers) == 1:  # overlayfs wants two layers or an upper one
            return [Mount("bind", self._real(lowers[0]), "/", ("rbind", "ro"))]
        lowerdir = ":".join(f"{self.root}/{link}" for link in lowers)
        return [Mount("overlay", "overlay", "/", (f"lowerdir={lowerdir}", "ro"))]

    def _real(self, link: str) -> str:
        try:
            return os.path.normpath(f"{self.root}/{_LINKS}/" + os.readlink(link, dir_fd=self._root_fd))
        except OSError as error:
            raise Corrupt(f"layer {link} is missing: remove what stands on it and pull its image again") from error

    def _spread(self, identity: str) -> None:
        """Gives a layer that is about to be unpacked a fresh `diff` in a block group of its own (ext4).

        The group is chosen by a hash of the name, so the name must be new each time; one that turns out to be slow
        is given up for another.
        """
        if os.listdir(f"{self.root}/{identity}/diff"):
            return
        own_fd = os.open(identity, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root_fd)
        try:
            mode = stat.S_IMODE(os.stat("diff", dir_fd=own_fd).st_mode)
            durability.spread_directories(own_fd)
            fresh = durability.make_quick_directory(own_fd, "diff")
            os.chmod(fresh, mode, dir_fd=own_fd)
            os.rename(fresh, "diff", src_dir_fd=own_fd, dst_dir_fd=own_fd)
        except OSError as error:
            raise durability.explained(error, f"snapshot {identity}") from error
        finally:
            os.close(own_fd)

    def _measure(self, identity: str) -> Usage:
        applied = self._applied.get(identity)
        if applied is not None:
            return Usage(applied.size_bytes, applied.entries)
        return counting.count(f"{self.root}/{identity}/diff")

    def _forget(self, identity: str) -> None:
        with self._lock:
            self._below.pop(identity, None)
            self._parents.pop(identity, None)
            self._applied.pop(identity, None)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._root_fd)


def _short(identity: str) -> str:
    """The 26 letters and digits that keep mount options short."""
    return base64.b32encode(hashlib.sha256(identity.encode()).digest()[:16]).decode().rstrip("=")


@contextlib.contextmanager
def _directory(name: str, dir_fd: int) -> Generator[int]:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_small(name: str, text: str, directory_fd: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
