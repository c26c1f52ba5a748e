# SPDX-License-Identifier: Apache-2.0
"""The volumes of one daemon: a record each in `metadata`, a driver that keeps the content, and who uses it now.

Containers that mount a volume are told by the caller (`users`); what is counted here is who has it mounted at this
moment, and who is about to get it (`pin`), so that a volume cannot go between a wish and its record. Thread-safe: one
lock for the index, one per volume for its driver, who may be slow. Called by the volume and container jobs of `engine`.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from holdfast import metadata
from holdfast.errors import Conflict, HoldfastError, NotFound
from holdfast.volumes import census, tree
from holdfast.volumes.discovery import PLACES, Places
from holdfast.volumes.driver import Driver
from holdfast.volumes.factory import Drivers
from holdfast.volumes.volume import ANONYMOUS_LABEL, Described, Volume

BUCKET = "volumes"

Write = tuple[str, str, bytes]
"""A record that the caller writes in a transaction of its own: bucket, key, document."""


class _Turn:
    """Whose turn it is with one volume, and how many want one."""

    __slots__ = ("count", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.count = 0


class Store:
    """All volumes below one directory."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        records: metadata.Store,
        now_nanos: Callable[[], int] = time.time_ns,
        plugins: Places = PLACES,
        patience_seconds: float = 5.0,
    ) -> None:
        self._drivers = Drivers(os.fspath(root), plugins, patience_seconds)
        self._records = records
        self._now_nanos = now_nanos
        self._lock = threading.RLock()
        self._turns: dict[str, _Turn] = {}
        self._mounted: dict[str, set[str]] = {}
        self._pins: dict[str, set[str]] = {}
        self._volumes = self._restored()

    def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        pin: str = "",
        writes: list[Write] | None = None,
    ) -> tuple[Volume, bool]:
        """The volume of that name, and whether it was made just now; without a name an anonymous one.

        An existing volume is returned as it is, whatever labels and options say; without a driver also a plugin's that
        no record knows. What a plugin has no more is made again. Durable on return, unless `writes` takes the record:
        then the caller writes it and calls `confirm`, or removes the volume. With `pin` it stays until `unpin`, whoever
        wants to remove it.
        """
        is_named = bool(name)
        if not is_named:
            name = secrets.token_hex(32)
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        found = self._find_driver(name, driver)
        with self._guard(name):
            existing = self._existing(name, is_named and not driver)
            if existing is not None and driver and existing.driver != found.name:
                raise Conflict(
                    f"create {name}: driver '{existing.driver}' already has volume '{name}': volume name must be unique"
                )
            if existing is not None and name in self._volumes:
                with self._lock:
                    self._pin(name, pin)
                return existing, False
            is_new = existing is None
            volume = existing or Volume(
                name=name,
                mountpoint=found.create(name, options or {}),
                created_nanos=self._now_nanos(),
                driver=found.name,
                labels=None if labels is None else dict(labels),
                options=None if options is None else dict(options),
                scope=found.scope,
            )
            write = (BUCKET, name, msgspec.json.encode(volume))
            if writes is None:
                with self._records.transaction() as transaction:
                    transaction.put(*write)
                found.confirm(name)
            else:
                writes.append(write)
            with self._lock:
                self._volumes[name] = volume
                self._pin(name, pin)
            return volume, is_new

    def confirm(self, names: Sequence[str]) -> None:
        """The records of these new volumes are on disk."""
        for name in names:
            self._drivers.find(self.get(name).driver).confirm(name)

    def unpin(self, user: str) -> None:
        """From here on the caller tells that `user` has its volumes, or it has come to nothing."""
        with self._lock:
            for name in [name for name, users in self._pins.items() if user in users]:
                self._pins[name].discard(user)
                if not self._pins[name]:
                    del self._pins[name]

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
        """All recorded volumes, in the order of their names."""
        with self._lock:
            return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def inspect(self, name: str) -> tuple[Volume, Described | None]:
        """The volume as it is now, and what its plugin says of it; NotFound. Blocks for a plugin."""
        volume = self._volumes.get(name)
        if volume is not None:
            return (volume, None) if volume.is_ours else census.look(self._drivers, volume)
        probed = census.probe(self._drivers, name)
        if probed is None:
            raise NotFound(f"get {name}: no such volume")
        return probed

    def survey(self) -> tuple[list[Volume], list[str]]:
        """All volumes, those that only plugins know, too, and what plugins could not be asked. Blocks for plugins."""
        return census.survey(self._drivers, self.list())

    def driver_names(self) -> list[str]:
        """Of our own driver and the plugins in use."""
        return self._drivers.names()

    def acquire(self, name: str, user: str) -> str:
        """Mounts the volume for `user` and returns the directory; the second time for the same user does nothing.

        At once for a plain volume (`Volume.is_plain`), otherwise as slow as what is mounted. InvalidArgument,
        Unavailable when it cannot be mounted.
        """
        with self._guard(name):
            volume = self.get(name)
            is_first = not self._mounted.get(name)
            path = self._drivers.mount(volume, user, is_first=is_first)
            self._mounted.setdefault(name, set()).add(user)
            return path

    def release(self, name: str, user: str) -> bool:
        """Takes back what `acquire` gave; False when `user` did not have it."""
        with self._guard(name):
            users = self._mounted.get(name, set())
            if user not in users:
                return False
            users.discard(user)
            if not users:
                del self._mounted[name]
            volume = self.get(name)
            self._drivers.find(volume.driver).unmount(volume, user, is_last=not users)
            return True

    @contextmanager
    def mounted(self, name: str) -> Generator[str]:
        """The volume's directory for as long as the block takes."""
        user = secrets.token_hex(8)
        path = self.acquire(name, user)
        try:
            yield path
        finally:
            self.release(name, user)

    def adopt(self, name: str, user: str) -> None:
        """`user` has had the volume since before this daemon was started."""
        with self._guard(name):
            if name in self._volumes:
                self._mounted.setdefault(name, set()).add(user)

    def settle(self) -> list[str]:
        """Unmounts what the last daemon left mounted for nobody; after `adopt`. Returns the mount points."""
        return self._drivers.local.settle(self._mounted.keys())

    def populate(self, name: str, source_root_fd: int, container_path: str) -> bool:
        """Copies what the image has at the path into the volume if it is empty; False when there was nothing to do.

        `source_root_fd` is the container's root file system (a detached mount will do). The path is walked inside it,
        whatever links it holds. The directory's owner and mode become the volume's.
        """
        volume = self.get(name)
        if not tree.has_directory(source_root_fd, container_path):
            return False
        try:
            with self.mounted(name) as path:
                return not volume.is_volatile and tree.copy_up(source_root_fd, container_path, path)
        except HoldfastError as error:
            error.message = f"failed to populate volume: {error.message}"
            raise

    def remove(self, name: str, users: Sequence[str] = (), *, force: bool = False, pin: str = "") -> Volume | None:
        """Deletes the volume; Conflict while containers (`users`, their ids) have it; None: not there, but forced.

        `pin` is the caller's own, which does not count.
        """
        with self._guard(name):
            volume = self._removable(name, users, pin)
            if volume is None and not force:
                raise NotFound(f"get {name}: no such volume")
            if volume is None:
                return None
            driver = self._drivers.find(volume.driver)
            if not volume.is_ours:
                driver.remove(volume)  # it may refuse
            if name in self._volumes:
                self._forget(name)
            if volume.is_ours:
                driver.remove(volume)
        return volume

    def size_bytes(self, name: str) -> int:
        """What the volume's files take, hard links counted once; walks it. -1 when they are not on a disk of ours."""
        volume = self.get(name)
        return tree.size_bytes(volume.mountpoint) if volume.is_plain else -1

    def _find_driver(self, name: str, driver: str) -> Driver:
        try:
            return self._drivers.find(driver)
        except HoldfastError as error:
            raise type(error)(f"create {name}: {error.message}") from None

    def _existing(self, name: str, is_anybodys: bool) -> Volume | None:
        """The volume that a wish for this name finds; with `is_anybodys` also one that only a plugin knows."""
        volume = self._volumes.get(name)
        if volume is None:
            probed = census.probe(self._drivers, name) if is_anybodys else None
            return probed[0] if probed else None
        if volume.is_ours:
            return volume
        try:
            return census.look(self._drivers, volume)[0]
        except NotFound:
            self._forget(name)
            return None

    def _removable(self, name: str, users: Sequence[str], pin: str) -> Volume | None:
        """The volume if there is one and nobody has it; a record of what a plugin has no more goes."""
        with self._lock:
            volume = self._volumes.get(name)
            holders = [*users, *sorted(self._pins.get(name, set()) - {pin, *users})] if volume else []
        if holders:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(holders)}]")
        if volume is None or not volume.is_ours:
            return self._existing(name, is_anybodys=True)
        return volume

    def _forget(self, name: str) -> None:
        with self._records.transaction() as transaction:
            transaction.delete(BUCKET, name)
        with self._lock:
            del self._volumes[name]

    @contextmanager
    def _guard(self, name: str) -> Generator[None]:
        """One at a time for one volume; its lock is there as long as somebody has it or waits for it."""
        with self._lock:
            turn = self._turns.setdefault(name, _Turn())
            turn.count += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.count -= 1
                if not turn.count:
                    del self._turns[name]

    def _pin(self, name: str, user: str) -> None:
        if user:
            self._pins.setdefault(name, set()).add(user)

    def _restored(self) -> dict[str, Volume]:
        """The volumes of the records and of the directories; finishes what was interrupted."""
        volumes: dict[str, Volume] = {}
        for name, document in self._records.items(BUCKET):
            try:
                volumes[name] = msgspec.json.decode(document, type=Volume)
            except msgspec.MsgspecError:
                continue
        for found in self._drivers.local.iter_found(volumes.keys()):
            volumes[found.name] = found
        return volumes
