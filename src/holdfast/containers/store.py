# SPDX-License-Identifier: Apache-2.0
"""All containers of the daemon: an index by id, name and unique prefix, persisted in the `containers` bucket.

A damaged record is kept as a container that can be listed and removed. Belongs to the loop's thread, except the
durable writes, which may run in another (`write`, `write_removed` block for one fsync unless told otherwise).
Called by the jobs of `engine`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from holdfast import metadata
from holdfast.containers import links, names, record
from holdfast.containers.config import Config, HostConfig
from holdfast.containers.container import Container, not_found
from holdfast.containers.execs import Execs
from holdfast.containers.record import Record
from holdfast.errors import AlreadyExists, InvalidArgument, NotFound

BUCKET = "containers"
_LEAVING = "volumes of removed containers"


class Containers:
    """Every container, and the names that are taken."""

    def __init__(self, store: metadata.Store) -> None:
        self._metadata = store
        self._by_id: dict[str, Container] = {}
        self._sorted_ids: list[str] = []
        self._id_by_name: dict[str, str] = {}
        self.execs = Execs()

    def restore(self, lost: Iterable[str] = ()) -> list[str]:
        """Reads all records; returns the ids of the damaged ones, to which those belong whose record is `lost`."""
        damaged: list[str] = []
        for key, document in self._metadata.items(BUCKET):
            try:
                found = record.decode(document)
            except msgspec.MsgspecError as error:
                found = _damaged(key, str(error))
                damaged.append(key)
            self._insert(Container(found))
        unreadable = [key for bucket, key in self._metadata.damaged if bucket == BUCKET]
        for key in dict.fromkeys((*unreadable, *lost)):
            if key not in self._by_id:
                self._insert(Container(_damaged(key, "its record cannot be read")))
                damaged.append(key)
        return damaged

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._by_id.values()))

    def list(self) -> list[Record]:
        """The records, the oldest first."""
        return [container.record for container in self._by_id.values()]

    def find(self, reference: str) -> Container:
        """By id, name (with or without a slash), `OWN/ALIAS` of a link, or unique id prefix; NotFound, InvalidArgument when ambiguous."""
        found = self._by_id.get(reference)
        if found is not None:
            return found
        name = reference.removeprefix("/")
        container_id = self._id_by_name.get(name)
        if container_id is not None:
            found = self._by_id.get(container_id)
            if found is None or found.name != name:  # reserved by a creation or a renaming that is under way
                raise not_found(reference)
            return found
        linked = self._linked(name) if "/" in name else None
        if linked is not None:
            return linked
        if reference:
            start = bisect_left(self._sorted_ids, reference)
            matches = [each for each in self._sorted_ids[start : start + 2] if each.startswith(reference)]
            if len(matches) > 1:
                raise InvalidArgument(f"multiple IDs found with provided prefix: {reference}")
            container_id = matches[0] if matches else None
        if container_id is None or container_id not in self._by_id:
            raise not_found(reference)
        return self._by_id[container_id]

    def link_names(self) -> dict[str, list[str]]:
        """What containers are called by those that link to them: `OWN/ALIAS` by the linked one's id."""
        found: dict[str, list[str]] = {}
        for container in self._by_id.values():
            for alias, _ in links.shown(container.record.host_config):
                name = f"{container.name}/{alias}"
                child = self._linked(name)
                if child is not None and name not in found.setdefault(child.id, []):
                    found[child.id].append(name)
        return found

    def _linked(self, name: str) -> Container | None:
        """Whom `OWN/ALIAS` means."""
        own, _, alias = name.partition("/")
        parent = self._by_id.get(self._id_by_name.get(own, ""))
        if parent is None:
            return None
        reference = dict(reversed(links.shown(parent.record.host_config))).get(alias)
        try:
            return self.find(reference) if reference and "/" not in reference.removeprefix("/") else None
        except (NotFound, InvalidArgument):
            return None

    def is_name_taken(self, name: str) -> bool:
        """True when a container has it, or is being made with it."""
        return name in self._id_by_name

    @property
    def names(self) -> dict[str, str]:
        """Ids by name; to be read only."""
        return self._id_by_name

    def reserve_name(self, name: str, container_id: str) -> None:
        """Takes a name before the container exists; AlreadyExists in Docker's words."""
        holder = self._id_by_name.setdefault(name, container_id)
        if holder != container_id:
            raise AlreadyExists(names.conflict_text(name, holder))

    def release_name(self, name: str, container_id: str) -> None:
        """Gives a name free, if it is this container's."""
        if self._id_by_name.get(name) == container_id:
            del self._id_by_name[name]

    def add(self, container: Container) -> None:
        """Makes a container known whose record is on disk."""
        self._insert(container)

    def remove(self, container: Container) -> None:
        """Forgets a container whose record is off the disk; its name is free at once."""
        self._by_id.pop(container.id, None)
        place = bisect_left(self._sorted_ids, container.id)
        if place < len(self._sorted_ids) and self._sorted_ids[place] == container.id:
            del self._sorted_ids[place]
        self.release_name(container.name, container.id)
        self.execs.forget([each.id for each in self.execs.of(container.id)])

    def rename(self, container: Container, name: str) -> None:
        """Changes the index after the record was written."""
        self.release_name(container.name, container.id)
        container.record.name = name
        container.listing = None
        self._id_by_name[name] = container.id

    def save(self, container: Container) -> None:
        """Writes a change of state: safe from `kill -9`, not from a power loss (which ends the container anyway)."""
        container.listing = None
        if container.is_off_record:
            return  # who was told of an end before its removal must not bring the record back after it
        document = record.encode(container.record)
        with self._metadata.transaction(durable=False, is_precious=True) as transaction:
            transaction.put(BUCKET, container.id, document)

    def write(self, document: Record, also: Iterable[tuple[str, str, bytes]] = (), *, durable: bool = True) -> None:
        """Writes a record, and with it what is of use with it only; blocks for the disk if it is to be durable."""
        encoded = record.encode(document)
        with self._metadata.transaction(durable=durable) as transaction:
            transaction.put(BUCKET, document.id, encoded)
            for bucket, key, other in also:
                transaction.put(bucket, key, other)

    def write_removed(self, container_id: str, volumes: Sequence[str] = (), *, durable: bool = True) -> None:
        """Deletes a record and notes which volumes go after it; blocks for the disk if it is to be durable."""
        with self._metadata.transaction(durable=durable, is_precious=True) as transaction:
            transaction.delete(BUCKET, container_id)
            if volumes:
                transaction.put(_LEAVING, container_id, msgspec.json.encode(volumes))

    def left_behind(self) -> dict[str, list[str]]:
        """The volumes of removed containers that have not been seen going, by the container's id."""
        return {key: msgspec.json.decode(names, type=list[str]) for key, names in self._metadata.items(_LEAVING)}

    def forget_left_behind(self, container_id: str) -> None:
        """Its volumes are gone; not durable, since they can be looked for again."""
        with self._metadata.transaction(durable=False) as transaction:
            transaction.delete(_LEAVING, container_id)

    def statistics(self) -> dict[str, int]:
        """How many containers are in which state."""
        counts: dict[str, int] = {}
        for container in self._by_id.values():
            counts[container.state.status] = counts.get(container.state.status, 0) + 1
        return counts

    def _insert(self, container: Container) -> None:
        self._by_id[container.id] = container
        insort(self._sorted_ids, container.id)
        self._id_by_name[container.name] = container.id


def _damaged(container_id: str, reason: str) -> Record:
    found = Record(
        id=container_id,
        name=f"damaged_{container_id[:12]}",
        created_nanos=0,
        image_id="",
        driver="",
        config=Config(),
        host_config=HostConfig(),
        damage=reason,
    )
    found.state.status = "dead"
    return found
