# SPDX-License-Identifier: Apache-2.0
"""Calls that waited for a container while it was removed change nothing that outlives it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from holdfast import metadata
from holdfast.containers import Container, Containers, Record
from holdfast.containers.config import Config, HostConfig
from holdfast.containers.store import BUCKET
from holdfast.engine.events import Events
from holdfast.engine.jobs.rename import rename
from holdfast.engine.networking import NetworkWorker
from holdfast.errors import Conflict

NO_NETWORKS = cast("NetworkWorker", None)  # a container that does not run has none to be renamed on


def made(store: metadata.Store) -> tuple[Containers, Container]:
    containers = Containers(store)
    record = Record(
        id="a" * 64, name="one", created_nanos=0, image_id="", driver="", config=Config(), host_config=HostConfig()
    )
    containers.write(record)
    container = Container(record)
    containers.add(container)
    return containers, container


def test_a_rename_that_waited_for_a_removal_is_refused_and_takes_no_name(tmp_path: Path) -> None:
    store = metadata.Store(tmp_path / "db")

    async def story() -> Containers:
        containers, container = made(store)
        async with container.lock:
            waiting = asyncio.create_task(
                rename(containers=containers, events=Events(), networks=NO_NETWORKS, reference="one", name="two")
            )
            await asyncio.sleep(0)
            container.record.is_removing = container.is_off_record = True
            containers.write_removed(container.id)
            containers.remove(container)
        with pytest.raises(Conflict, match="marked for removal"):
            await waiting
        return containers

    containers = asyncio.run(story())

    assert dict(containers.names) == {}
    assert store.items(BUCKET) == []


def test_what_ends_after_a_removal_writes_no_record(tmp_path: Path) -> None:
    store = metadata.Store(tmp_path / "db")

    async def story() -> None:
        containers, container = made(store)
        container.is_off_record = True
        containers.write_removed(container.id)
        containers.save(container)

    asyncio.run(story())

    assert store.items(BUCKET) == []
