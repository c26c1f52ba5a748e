# SPDX-License-Identifier: Apache-2.0
"""Bringing images in beside removals: what fails goes at once, what is under way or wanted stays."""

import io
import threading
from typing import Any

import pytest

from holdfast import images
from holdfast.errors import HoldfastError
from holdfast.oci.platform import Platform

LINUX = Platform("linux", "amd64")


class Breaks:
    """A stream that breaks off, after telling how far it is."""

    def __init__(self, data: bytes, at: int, reached: Any = None) -> None:
        self._data, self._left, self._reached = io.BytesIO(data), at, reached

    def read(self, size: int, /) -> bytes:
        if self._left <= 0:
            if self._reached is not None:
                self._reached()
            raise OSError(104, "Connection reset by peer")
        data = self._data.read(min(size, self._left))
        self._left -= len(data)
        return data


def stock(store: images.Store) -> tuple[set[str], set[str], list[str]]:
    return set(store.content.iter()), set(store.snapshots.iter_names()), list(store.snapshots.iter_keys())


def test_a_load_that_breaks_off_gives_back_what_it_brought(store: images.Store, kit: Any) -> None:
    layers = [kit.tar_of({f"{number}": bytes(200_000)}) for number in range(3)]
    kit.load(store, kit.docker_archive(["kept:1"], layers[0]))
    before = stock(store)

    with pytest.raises((HoldfastError, OSError)):
        store.load(Breaks(kit.docker_archive(["x:1"], *layers), 450_000))

    assert stock(store) == before
    assert [image.repo_tags for image in store.list()] == [("kept:1",)]


def test_an_import_with_a_second_layer_that_is_wrong_gives_all_back(store: images.Store, kit: Any) -> None:
    good, bad = kit.tar_of({"a": b"x"}), kit.tar_of({"b": b"y"})[:700]

    with pytest.raises(HoldfastError):
        kit.load(store, kit.docker_archive(["x:1"], good, bad))

    assert stock(store) == (set(), set(), [])


def test_what_another_intake_has_brought_stays_when_one_fails(store: images.Store, kit: Any) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    archive = kit.docker_archive(["slow:1"], kit.tar_of({"a": bytes(300_000)}))

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= len(archive) - 2048 and not arrived.is_set():
                arrived.set()
                assert go_on.wait(10)
            return super().read(min(size or 0, 1024))

    slow = threading.Thread(target=lambda: store.load(Slow(archive)))
    slow.start()
    assert arrived.wait(10)
    with pytest.raises((HoldfastError, OSError)):
        store.import_(Breaks(kit.tar_of({"b": bytes(300_000)}), 100_000), platform=LINUX)
    go_on.set()
    slow.join(10)

    assert [image.repo_tags for image in store.list()] == [("slow:1",)]
    assert store.snapshots.exists(str(store.get("slow:1").chain_id))


def test_loads_beside_removals_lose_nothing(store: images.Store, kit: Any) -> None:
    """Layers are shared between what comes and what goes, so a collection in the wrong moment would take one."""
    shared = kit.tar_of({"shared": bytes(5000)})
    archives = [kit.docker_archive([f"t{n}:1"], shared, kit.tar_of({f"{n}": b"x" * n})) for n in range(6)]
    failures: list[BaseException] = []

    def churn(number: int) -> None:
        try:
            for _ in range(12):
                store.load(io.BytesIO(archives[number]))
                if number % 2:
                    store.delete(f"t{number}:1")
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store.collect()

    assert failures == []
    found = store.list()
    assert sorted(image.repo_tags[0] for image in found) == ["t0:1", "t2:1", "t4:1"]
    assert [image.damage for image in found] == [""] * 3
    assert all(store.snapshots.exists(str(image.chain_id)) for image in found)
    assert all(store.content.has(blob.digest) for image in found for blob in image.blobs)
    assert len(list(store.snapshots.iter_names())) == 4
