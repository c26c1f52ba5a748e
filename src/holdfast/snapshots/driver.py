# SPDX-License-Identifier: Apache-2.0
"""What every snapshot driver can do, and the values that it speaks in.

A `key` names an active (writable) snapshot or a view, a `name` a committed one. A chain of names is an image, a key
on top of it is a container's file system or a layer that is being unpacked:

    driver.prepare("unpack-1", None); driver.apply("unpack-1", tar)     # first layer
    driver.commit("sha256:aaa", "unpack-1")                             # now it has a name
    mounts = driver.prepare(container_id, "sha256:aaa")                 # a container on it
    driver.remove(container_id)

Nothing is mounted here: `mounts` are values, the runtime mounts them in the container's own namespace.
All methods are synchronous, safe to call from several threads for different keys, and idempotent where stated.
Called by `images` (unpack, delete), `engine` (containers' root file systems) and `containers` (through `layers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.oci.mount import Mount


class Readable(Protocol):
    """Whatever bytes come from: a file, a decompressor, a request body."""

    def read(self, size: int, /) -> bytes: ...


class Usage(NamedTuple):
    """What a snapshot itself takes, without its parents; hard links counted once."""

    size_bytes: int
    inodes: int


class Applied(NamedTuple):
    """What `apply` unpacked: the digest of the uncompressed tar, the sum of the files' sizes, the number of entries."""

    diff_id: Digest
    size_bytes: int
    entries: int


class Snapshotter(Protocol):
    """The work on single snapshots."""

    def prepare(self, key: str, parent: str | None) -> list[Mount]:
        """Makes a writable snapshot on a committed parent, or on nothing; AlreadyExists, NotFound. A few syscalls."""
        ...

    def view(self, key: str, parent: str | None) -> list[Mount]:
        """Makes a read-only snapshot of a committed parent; removed like any other."""
        ...

    def mounts(self, key: str) -> list[Mount]:
        """The mounts of an active snapshot or view again, target `/`; NotFound, Corrupt when some of it is lost."""
        ...

    def commit(self, name: str, key: str) -> None:
        """Turns the active snapshot into a committed one, durable on return; AlreadyExists if the name is taken."""
        ...

    def remove(self, key: str) -> None:
        """Deletes a snapshot of either kind; NotFound. Set aside in one rename first. Children are the caller's care."""
        ...

    def usage(self, key: str) -> Usage:
        """Counts what the snapshot itself holds; walks it."""
        ...

    def apply(self, key: str, tar: Readable) -> Applied:
        """Unpacks an uncompressed layer tar into the active snapshot, whiteouts included; all of the tar is read."""
        ...

    def layers(self, key: str) -> list[str]:
        """The directories that make up the snapshot, the top one first: for reading without a mount, and for diffs."""
        ...


class Inventory(Protocol):
    """The work on a driver's whole stock."""

    def exists(self, key: str) -> bool:
        """Tells whether there is a complete snapshot of that key or name. One syscall."""
        ...

    def iter_names(self) -> Iterator[str]:
        """All committed snapshots."""
        ...

    def iter_keys(self) -> Iterator[str]:
        """All active snapshots and views."""
        ...

    def parent(self, key: str) -> str | None:
        """The committed snapshot below; NotFound for an unknown key, Corrupt when the disk has lost it."""
        ...

    def mend(self, key: str, parent: str | None, *, is_blank: bool) -> bool:
        """Makes again what `prepare` wrote of an active snapshot and the disk has lost; false when nothing was amiss.

        Where more than that is lost, it begins anew if `is_blank` (it never ran), and is Corrupt if not. NotFound
        without the parent; nothing is changed then. A few syscalls for a whole one. Called at start.
        """
        ...

    def purge(self, is_wanted: Callable[[str], bool]) -> None:
        """Removes what an interrupted run left behind, and active snapshots that nobody wants. Called at start.

        What is wanted stays, however damaged.
        """
        ...

    def status(self) -> list[tuple[str, str]]:
        """What `info` shows of the driver beyond its file system. Cheap; called at start."""
        ...


class Driver(Snapshotter, Inventory, Protocol):
    """A snapshot driver; `factory.open_driver` gives one."""

    name: str
