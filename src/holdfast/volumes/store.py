# SPDX-License-Identifier: Apache-2.0
"""The local volumes of one daemon: `<root>/<name>/_data`, a record each in `metadata`.

A directory exists before its record and outlives it by one rename, so a crash leaves either a volume or nothing that
has a name; directories without a record (copied there by an administrator, or of a lost database) are volumes too,
as with Docker. Who uses a volume is told by the caller. Thread-safe. Blocking: disk only. Called by the volume and
container jobs of `engine`.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from holdfast import metadata
from holdfast.errors import Conflict, HoldfastError, InvalidArgument, NotFound
from holdfast.volumes import removal, tree
from holdfast.volumes.volume import ANONYMOUS_LABEL, LOCAL, Volume, check_driver, check_name, check_options

BUCKET = "volumes"
DATA = "_data"
_TRASH = ".removed"


class Store:
    """All volumes below one directory."""

    def __init__(
        self, root: str | os.PathLike[str], records: metadata.Store, now_nanos: Callable[[], int] = time.time_ns
    ) -> None:
        self._root = os.fspath(root)
        self._records = records
        self._now_nanos = now_nanos
        self._lock = threading.RLock()
        os.makedirs(self._root, 0o701, exist_ok=True)
        self._volumes = self._restored()

    def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> tuple[Volume, bool]:
        """The volume of that name, and whether it was made just now; without a name an anonymous one.

        An existing volume is returned as it is, whatever labels and options say. Durable on return.
        """
        if not name:
            name = secrets.token_hex(32)
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        with self._lock:
            if (existing := self._volumes.get(name)) is not None:
                return existing, False
            check_name(name)
            check_driver(name, driver)
            check_options(name, options or {})
            path = self._path(name)
            os.makedirs(path, 0o755, exist_ok=True)
            os.chmod(path, 0o755)  # whatever the umask is
            volume = Volume(
                name=name,
                mountpoint=path,
                created_nanos=self._now_nanos(),
                labels=dict(labels) if labels else None,
                options=dict(options) if options else None,
            )
            with self._records.transaction() as transaction:
                transaction.put(BUCKET, name, msgspec.json.encode(volume))
            self._volumes[name] = volume
            return volume, True

    def get(self, name: str) -> Volume:
        """The volume; NotFound."""
        volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def has(self, name: str) -> bool:
        """Tells whether there is a volume of that name."""
        return name in self._volumes

    def list(self) -> list[Volume]:
        """All volumes, in the order of their names."""
        with self._lock:
            return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def resolve(self, name: str) -> str:
        """The host directory that a container gets to see: the volume's own, or the one that its options bind."""
        volume = self.get(name)
        if volume.options:
            device = volume.options["device"]
            if not os.path.isdir(device):
                raise InvalidArgument(
                    f"failed to populate volume: error while mounting volume '{volume.mountpoint}': failed to mount "
                    f"local volume: mount {device}:{volume.mountpoint}: no such file or directory"
                )
            return device
        os.makedirs(volume.mountpoint, 0o755, exist_ok=True)
        return volume.mountpoint

    def populate(self, name: str, source_root_fd: int, container_path: str) -> bool:
        """Copies what the image has at the path into the volume if it is empty; False when there was nothing to do.

        `source_root_fd` is the container's root file system (a detached mount will do). The path is walked inside it,
        whatever links it holds. The directory's owner and mode become the volume's.
        """
        volume = self.get(name)
        if volume.options:
            return False
        return tree.copy_up(source_root_fd, container_path, self.resolve(name))

    def remove(self, name: str, users: Sequence[str] = (), *, force: bool = False) -> bool:
        """Deletes the volume; Conflict while containers (`users`, their ids) have it; False: not there, but forced."""
        with self._lock:
            if name not in self._volumes:
                if force:
                    return False
                raise NotFound(f"get {name}: no such volume")
            if users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            with self._records.transaction() as transaction:
                transaction.delete(BUCKET, name)
            trash = os.path.join(self._root, f"{_TRASH}-{secrets.token_hex(8)}")
            try:
                os.rename(os.path.dirname(self._path(name)), trash)
            except FileNotFoundError:
                trash = ""
            del self._volumes[name]
        if trash:
            removal.remove_tree(trash)
        return True

    def size_bytes(self, name: str) -> int:
        """What the volume's files take, hard links counted once; walks it."""
        return tree.size_bytes(self.get(name).mountpoint)

    def _path(self, name: str) -> str:
        return os.path.join(self._root, name, DATA)

    def _restored(self) -> dict[str, Volume]:
        """The volumes of the records and of the directories; finishes interrupted removals."""
        volumes: dict[str, Volume] = {}
        for name, document in self._records.items(BUCKET):
            try:
                volumes[name] = msgspec.json.decode(document, type=Volume)
            except msgspec.MsgspecError:
                continue
        for entry in os.scandir(self._root):
            if entry.name.startswith(_TRASH):
                removal.remove_tree(entry.path)
            elif entry.name not in volumes and os.path.isdir(self._path(entry.name)) and _is_name(entry.name):
                created = entry.stat(follow_symlinks=False).st_ctime_ns
                volumes[entry.name] = Volume(
                    name=entry.name, mountpoint=self._path(entry.name), created_nanos=created, driver=LOCAL
                )
        return volumes


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except HoldfastError:
        return False
    return True
