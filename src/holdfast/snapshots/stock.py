# SPDX-License-Identifier: Apache-2.0
"""A driver's directory of snapshots whose layers are stacked by overlayfs: which there are, which are committed.

    <root>/<id>/<mark>      there as soon as the snapshot is complete enough to count; the driver writes it
    <root>/<id>/work        overlayfs's scratch, of active snapshots only
    <root>/<id>/committed   of committed snapshots: name, size, number of files, mode of the root
    <root>/.gone-…          set aside in one rename, on its way out

What the layers themselves are, and what is below a snapshot, is the driver's. Called by the drivers overlay2 and erofs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from holdfast.kernel import paths
from holdfast.snapshots import durability, names, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

MAX_DEPTH = 500
_GONE = ".gone-"
_SMALL_BYTES = 128 << 10  # MAX_DEPTH names of layers
_UNREADABLE = "\0"
_FORBIDDEN = frozenset(",:\\")
_NAME_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


class Committed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a committed snapshot without looking into it; `verity` is the digest that its image is sealed by."""

    name: str
    size: int
    inodes: int
    root_mode: int = 0o755
    verity: str = ""


class Stock:
    """The snapshots below one root; `reserved` are names there that are none. `fd` stays open as long as the driver."""

    def __init__(self, root: str, *, mark: str, reserved: frozenset[str] = frozenset()) -> None:
        if _FORBIDDEN & set(root):
            raise InvalidArgument(f"data root {root!r} holds a character that overlayfs's options cannot carry")
        self.root = root
        self._mark = mark
        self._reserved = reserved
        os.makedirs(root, 0o700, exist_ok=True)
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._serial = 0

    # which there are

    def exists(self, key: str) -> bool:
        """Tells whether there is a snapshot of that key or name. One syscall."""
        return os.path.exists(f"{self.root}/{names.directory(key)}/{self._mark}")

    def existing(self, key: str) -> str:
        """The directory's name of a snapshot; NotFound, Corrupt when it has lost its mark."""
        identity = names.directory(key)
        if not self.exists(key):
            if os.path.isdir(f"{self.root}/{identity}"):
                raise self.damage(identity, f"{self._mark} is missing")
            raise NotFound(f"snapshot {key} not found")
        return identity

    def active(self, key: str) -> str:
        """The directory's name of a writable snapshot; NotFound, InvalidArgument."""
        identity = self.existing(key)
        if not self.is_active(identity):
            raise InvalidArgument(f"snapshot {key} is not writable")
        return identity

    def is_active(self, identity: str) -> bool:
        """Tells whether a snapshot is writable."""
        return os.path.isdir(f"{self.root}/{identity}/work")

    def damage(self, identity: str, what: str) -> Corrupt:
        """The error for a snapshot of which that is missing or cannot be read, with the next step."""
        if self.committed(identity) is not None:
            return Corrupt(f"layer {identity} is damaged ({what}): remove its image and pull it again")
        return damage(identity, what)

    def committed(self, identity: str) -> Committed | None:
        """The record of a committed snapshot; one that an interrupted commit wrote under another name is none."""
        try:
            with open(f"{self.root}/{identity}/committed", "rb") as file:
                record = msgspec.json.decode(file.read(), type=Committed)
        except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
            return None
        return record if names.directory(record.name) == identity else None

    def iter_names(self) -> Iterator[str]:
        """All committed snapshots."""
        for identity in self._identities():
            record = self.committed(identity)
            if record is not None:
                yield record.name

    def iter_keys(self) -> Iterator[str]:
        """All active snapshots and views."""
        for identity in self._identities():
            if self.committed(identity) is None:
                yield identity

    def _identities(self) -> list[str]:
        return [name for name in os.listdir(self.root) if not name.startswith(".") and name not in self._reserved]

    # making and removing

    @contextlib.contextmanager
    def all_or_nothing(self, key: str) -> Generator[None]:
        """Removes what was made of a snapshot when the disk says no; what was there before is not touched."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError, NotFound):
                self.remove(key)
            raise durability.explained(error, f"snapshot {key}") from error

    def make(self, key: str, depth: int) -> str:
        """The directory for a new snapshot on so many layers; returns its name. AlreadyExists, InvalidArgument."""
        if depth > MAX_DEPTH:
            raise InvalidArgument(f"snapshot {key} would have more than {MAX_DEPTH} layers below it")
        identity = names.directory(key)
        try:
            os.mkdir(identity, 0o700, dir_fd=self.fd)
        except FileExistsError:
            raise AlreadyExists(f"snapshot {key} already exists") from None
        return identity

    @contextlib.contextmanager
    def committing(self, name: str, identity: str) -> Generator[int]:
        """Renames the directory to the new name after the block, which has its descriptor; AlreadyExists, durable."""
        if self.exists(name):
            raise AlreadyExists(f"snapshot {name} already exists")
        directory_fd = os.open(identity, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            yield directory_fd
            os.rename(identity, names.directory(name), src_dir_fd=self.fd, dst_dir_fd=self.fd)
            os.fsync(self.fd)
        except OSError as error:
            if error.errno in _NAME_TAKEN:
                raise AlreadyExists(f"snapshot {name} already exists") from error
            raise durability.explained(error, f"snapshot {name}") from error
        finally:
            os.close(directory_fd)

    def remove(self, key: str) -> str:
        """Deletes a snapshot, set aside in one rename first; returns its directory's name. NotFound."""
        identity = names.directory(key)
        with self._lock:
            self._serial += 1
            aside = f"{_GONE}{identity}-{os.getpid()}-{self._serial}"
        try:
            os.rename(identity, aside, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except FileNotFoundError:
            raise NotFound(f"snapshot {key} not found") from None
        removal.remove(aside, dir_fd=self.fd)
        return identity

    def leftovers(self, is_wanted: Callable[[str], bool]) -> list[str]:
        """Deletes what was set aside; returns the snapshots that an interrupted run left, and those nobody wants."""
        for name in os.listdir(self.root):
            if name.startswith(_GONE):
                removal.remove(name, dir_fd=self.fd)
        return [
            identity
            for identity in self._identities()
            if not is_wanted(identity) and (not self.exists(identity) or self.committed(identity) is None)
        ]


def damage(key: str, what: str) -> Corrupt:
    """The error for a container's snapshot (its key is the container's id) of which that is missing or damaged."""
    return Corrupt(f"the files of container {key} are damaged ({what}): remove it and create it again")


def read_small(path: str) -> str | None:
    """A small file's text; None when it is not there, and what no driver writes when it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return _UNREADABLE
    try:
        return os.read(fd, _SMALL_BYTES).decode("ascii", "replace")
    except OSError:
        return _UNREADABLE
    finally:
        os.close(fd)


def write_record(record: Committed, directory_fd: int, *, is_durable: bool) -> None:
    """Says in a snapshot's directory what it is committed as."""
    durability.write_file("committed", msgspec.json.encode(record), dir_fd=directory_fd, is_durable=is_durable)


def attributes(directories: Iterable[str], path: bytes) -> os.stat_result | None:
    """What a directory that a new layer only implies looks like in the layers below, the top one first."""
    for directory in directories:
        root_fd = paths.open_root(directory)
        try:
            fd = paths.openat2(root_fd, path, paths.DIRECTORY, resolve=paths.PLAIN)
        except OSError:
            continue
        finally:
            os.close(root_fd)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)
    return None
