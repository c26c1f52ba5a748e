# SPDX-License-Identifier: Apache-2.0
"""The vfs driver: every snapshot is a whole copy of its parent. Slow, large, and works on any file system.

    vfs/<id>/fs        the files
    vfs/<id>/record    what the snapshot is: name, parent, kind, size; a snapshot without one is a leftover

The reference for drivers: the shortest that passes tests/contracts/test_snapshotter.py. Cost: prepare copies the
parent (by copy_file_range, so reflinks where the file system has them).
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import AlreadyExists, InvalidArgument, NotFound
from holdfast.oci.mount import Mount
from holdfast.snapshots import apply as applying
from holdfast.snapshots import copying, counting, durability, names, removal, stock, whiteouts
from holdfast.snapshots.driver import Applied, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.snapshots.driver import Readable
    from holdfast.snapshots.tar import Limits

_GONE = ".gone-"
_ACTIVE, _VIEW, _COMMITTED = "active", "view", "committed"


def probe() -> str | None:
    """Why the driver cannot work here: it always can."""
    return None


class _Record(msgspec.Struct, frozen=True):
    name: str
    kind: str
    parent: str | None = None
    size: int = 0
    inodes: int = 0


class Vfs:
    """See the module and `driver.Driver`."""

    name = "vfs"

    def __init__(self, root: str, limits: Limits | None = None) -> None:
        self.root = root
        self._limits = limits
        os.makedirs(root, 0o700, exist_ok=True)
        self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._serial = 0
        self._applied: dict[str, Applied] = {}

    # Snapshotter

    def prepare(self, key: str, parent: str | None) -> list[Mount]:
        self._make(key, parent, _ACTIVE)
        return self.mounts(key)

    def view(self, key: str, parent: str | None) -> list[Mount]:
        self._make(key, parent, _VIEW)
        return self.mounts(key)

    def mounts(self, key: str) -> list[Mount]:
        record = self._whole(key)
        if record.kind == _VIEW and record.parent is not None:
            return [Mount("bind", self._files(record.parent), "/", ("rbind", "ro"))]
        return [Mount("bind", self._files(key), "/", ("rbind", "rw" if record.kind == _ACTIVE else "ro"))]

    def commit(self, name: str, key: str) -> None:
        record = self._active(key)
        if self.exists(name):
            raise AlreadyExists(f"snapshot {name} already exists")
        applied = self._applied.pop(key, None)
        usage = Usage(applied.size_bytes, applied.entries) if applied else counting.count(self._files(key))
        committed = _Record(name, _COMMITTED, record.parent, usage.size_bytes, usage.inodes)
        try:
            self._write(names.directory(key), committed)
            durability.sync_file_system(self._root_fd)
            os.rename(names.directory(key), names.directory(name), src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise AlreadyExists(f"snapshot {name} already exists") from error
            raise durability.explained(error, f"snapshot {name}") from error
        os.fsync(self._root_fd)

    def remove(self, key: str) -> None:
        with self._lock:
            self._serial += 1
            aside = f"{_GONE}{names.directory(key)}-{os.getpid()}-{self._serial}"
        try:
            os.rename(names.directory(key), aside, src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd)
        except FileNotFoundError:
            raise NotFound(f"snapshot {key} not found") from None
        self._applied.pop(key, None)
        removal.remove(aside, dir_fd=self._root_fd)

    def usage(self, key: str) -> Usage:
        record = self._record(key)
        if record.kind == _COMMITTED:
            return Usage(record.size, record.inodes)
        return counting.count(self._files(key))

    def apply(self, key: str, tar: Readable) -> Applied:
        self._active(key)
        applied = applying.unpack(self._files(key), tar, whiteouts.Direct(), limits=self._limits)
        self._applied[key] = applied
        return applied

    def layers(self, key: str) -> list[str]:
        record = self._whole(key)
        if record.kind == _VIEW and record.parent is not None:
            return [self._files(record.parent)]
        return [self._files(key)]

    # Inventory

    def exists(self, key: str) -> bool:
        return os.path.exists(f"{self.root}/{names.directory(key)}/record")

    def iter_names(self) -> Iterator[str]:
        return (record.name for record in self._records() if record.kind == _COMMITTED)

    def iter_keys(self) -> Iterator[str]:
        return (record.name for record in self._records() if record.kind != _COMMITTED)

    def parent(self, key: str) -> str | None:
        return self._record(key).parent

    def status(self) -> list[tuple[str, str]]:
        return []

    def mend(self, key: str, parent: str | None, *, is_blank: bool) -> bool:
        identity, expected = names.directory(key), _Record(key, _ACTIVE, parent)
        if parent is not None:
            self._record(parent)
        has_files = os.path.isdir(self._files(key))
        if has_files and self._read(identity) == expected:
            return False
        if is_blank:  # half a copy looks like a whole one
            removal.remove(identity, dir_fd=self._root_fd)
            self._make(key, parent, _ACTIVE)
            return True
        try:
            os.makedirs(f"{self.root}/{identity}", 0o700, exist_ok=True)
            self._write(identity, expected)
        except OSError as error:
            raise durability.explained(error, f"snapshot {key}") from error
        if not has_files:
            raise stock.damage(key, "fs is missing")
        return True

    def purge(self, is_wanted: Callable[[str], bool]) -> None:
        whole = {names.directory(r.name) for r in self._records() if r.kind == _COMMITTED or is_wanted(r.name)}
        for name in os.listdir(self.root):
            if name not in whole and not is_wanted(name):
                removal.remove(name, dir_fd=self._root_fd)

    # the parts of a snapshot's directory

    def _make(self, key: str, parent: str | None, kind: str) -> None:
        if parent is not None and self._record(parent).kind != _COMMITTED:
            raise NotFound(f"parent snapshot {parent} not found")
        identity = names.directory(key)
        try:
            os.mkdir(identity, 0o700, dir_fd=self._root_fd)
        except FileExistsError:
            raise AlreadyExists(f"snapshot {key} already exists") from None
        try:
            os.mkdir(self._files(key), 0o755)
            if kind == _ACTIVE and parent is not None:
                copying.copy_tree(self._files(parent), self._files(key))
            self._write(identity, _Record(key, kind, parent))
        except OSError as error:
            self.remove(key)
            raise durability.explained(error, f"snapshot {key}") from error

    def _files(self, key: str) -> str:
        return f"{self.root}/{names.directory(key)}/fs"

    def _write(self, identity: str, record: _Record) -> None:
        directory_fd = os.open(identity, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root_fd)
        try:
            durability.write_file("record", msgspec.json.encode(record), dir_fd=directory_fd, is_durable=False)
        finally:
            os.close(directory_fd)

    def _record(self, key: str) -> _Record:
        record = self._read(names.directory(key))
        if record is None and os.path.isdir(self._files(key)):
            raise stock.damage(key, "record cannot be read")
        if record is None:
            raise NotFound(f"snapshot {key} not found")
        return record

    def _whole(self, key: str) -> _Record:
        """The record of a snapshot whose files are there."""
        record = self._record(key)
        if not os.path.isdir(self._files(key)):
            raise stock.damage(key, "fs is missing")
        return record

    def _active(self, key: str) -> _Record:
        record = self._record(key)
        if record.kind != _ACTIVE:
            raise InvalidArgument(f"snapshot {key} is not writable")
        return record

    def _read(self, identity: str) -> _Record | None:
        """The record; one that an interrupted commit wrote under another name is none."""
        try:
            with open(f"{self.root}/{identity}/record", "rb") as file:
                record = msgspec.json.decode(file.read(), type=_Record)
        except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
            return None
        return record if names.directory(record.name) == identity else None

    def _records(self) -> list[_Record]:
        found = [self._read(name) for name in os.listdir(self.root) if not name.startswith(".")]
        return [record for record in found if record is not None]
