# SPDX-License-Identifier: Apache-2.0
"""The record store: transactions, checksums, and what becomes of a damaged file."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import metadata
from holdfast.errors import Corrupt, Exhausted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metadata.db"


def test_what_was_put_is_read_again_by_another_store(path: Path) -> None:
    store = metadata.Store(path)
    with store.transaction() as t:
        t.put("containers", "a", b"1")
        t.put("containers", "b", b"2")
        t.put("containers", "a", b"3")
        t.put("images", "a", b"4")
        t.delete("images", "nosuch")
    store.close()

    again = metadata.Store(path)

    assert again.items("containers") == [("a", b"3"), ("b", b"2")]
    assert again.get("images", "a") == b"4"
    assert again.get("images", "b") is None
    again.close()


def test_a_failed_block_leaves_nothing(path: Path) -> None:
    store = metadata.Store(path)

    def fail() -> None:
        with store.transaction(durable=False) as t:
            t.put("b", "k", b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert store.get("b", "k") is None
    with store.transaction(durable=False) as t:
        t.put("b", "k", b"y")
    assert store.get("b", "k") == b"y"
    store.close()


@pytest.mark.parametrize("durable", [True, False])
def test_a_finished_transaction_survives_kill_nine(path: Path, durable: bool) -> None:
    metadata.Store(path).close()
    child = os.fork()
    if child == 0:
        with metadata.Store(path).transaction(durable=durable) as t:
            t.put("b", "k", b"kept")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    store = metadata.Store(path)

    assert store.get("b", "k") == b"kept"
    store.close()


def test_threads_write_one_after_the_other(path: Path) -> None:
    store = metadata.Store(path)

    def work(name: str) -> None:
        for number in range(20):
            with store.transaction(durable=False) as t:
                t.put("b", f"{name}{number}", b"x")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.items("b")) == 80
    store.close()


def test_a_flipped_bit_in_a_document_hides_that_document_only(path: Path) -> None:
    store = metadata.Store(path)
    with store.transaction() as t:
        t.put("b", "good", b"fine")
        t.put("b", "bad", b"fine too")
    store.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE records SET document = ? WHERE key = 'bad'", (b"fine tpo",))
    raw.commit()
    raw.close()

    store = metadata.Store(path)

    assert store.items("b") == [("good", b"fine")]
    assert store.damaged == [("b", "bad")]
    with pytest.raises(Corrupt):
        store.get("b", "bad")
    store.close()


def test_garbage_is_moved_aside_and_the_store_opens(path: Path) -> None:
    path.write_bytes(b"not a database at all, " * 500)

    store = metadata.Store(path)

    assert store.items("b") == []
    assert store.moved_aside is not None
    assert store.moved_aside.read_bytes().startswith(b"not a database")
    store.close()


def _filled(path: Path, rows: int) -> None:
    store = metadata.Store(path)
    with store.transaction() as t:
        for number in range(rows):
            t.put("b", f"key{number:04}", bytes(800))
    store.close()


def test_a_broken_page_costs_only_its_own_rows(path: Path) -> None:
    _filled(path, 400)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)

    store = metadata.Store(path)

    assert store.moved_aside is not None
    assert len(store.items("b")) > 300
    store.close()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_stops_the_start(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damage") / "metadata.db"
    _filled(path, 20)
    size = path.stat().st_size
    image = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)):
        image[place] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, size))
    path.write_bytes(image[:cut] if data.draw(st.booleans()) else image)

    store = metadata.Store(path)

    assert all(document == bytes(800) for _, document in store.items("b"))
    with store.transaction() as t:
        t.put("b", "new", b"x")
    assert store.get("b", "new") == b"x"
    store.close()


class Disk:
    """Takes the place of fdatasync(2): remembers what it was called for, may fail, may take its time."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.is_ready = threading.Event()
        self.is_ready.set()
        self.has_begun = threading.Event()
        self.synced: list[bytes] = []

    def sync(self, fd: int) -> None:
        self.has_begun.set()
        assert self.is_ready.wait(10)
        if self.failures:
            raise OSError(self.failures.pop(0), "injected")
        os.fdatasync(fd)
        self.synced.append(os.pread(fd, 1 << 24, 0))


def _put(store: metadata.Store, key: str, *, durable: bool = False) -> None:
    with store.transaction(durable=durable) as t:
        t.put("b", key, bytes(1000))


def _keys_after_power_loss(path: Path, journal: bytes, tmp_path: Path) -> list[str]:
    """What a start finds that has the database as it is and of the journal only what was flushed."""
    copy = tmp_path / "after" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    copy.with_name(f"{path.name}-wal").write_bytes(journal)
    store = metadata.Store(copy)
    try:
        return [key for key, _ in store.items("b")]
    finally:
        store.close()


def test_a_flush_puts_on_the_disk_what_was_written_before_it_and_nothing_later(path: Path, tmp_path: Path) -> None:
    disk = Disk()
    store = metadata.Store(path, sync=disk.sync)
    _put(store, "first")
    _put(store, "second")

    store.flush()
    _put(store, "third")

    assert _keys_after_power_loss(path, disk.synced[-1], tmp_path) == ["first", "second"]
    store.close()


def test_a_flush_after_the_journal_began_anew_is_of_the_same_file(path: Path, tmp_path: Path) -> None:
    disk = Disk()
    store = metadata.Store(path, sync=disk.sync)
    for number in range(600):  # two pages each, and SQLite writes a journal of 1000 pages back
        _put(store, f"{number % 5}")
    _put(store, "last")

    store.flush()

    assert _keys_after_power_loss(path, disk.synced[-1], tmp_path) == ["0", "1", "2", "3", "4", "last"]
    store.close()


def test_a_flush_that_takes_long_holds_up_neither_writers_nor_readers(path: Path) -> None:
    disk = Disk()
    store = metadata.Store(path, sync=disk.sync)
    disk.is_ready.clear()
    flushing = threading.Thread(target=store.flush)
    flushing.start()
    assert disk.has_begun.wait(10)

    _put(store, "meanwhile")
    _put(store, "for good", durable=True)

    assert [key for key, _ in store.items("b")] == ["meanwhile", "for good"]
    assert flushing.is_alive()
    disk.is_ready.set()
    flushing.join(10)
    store.close()


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, Corrupt), (errno.ENOSPC, Exhausted)])
def test_what_a_failed_flush_may_have_lost_reaches_the_disk_with_the_next(
    path: Path, number: int, kind: type[Exception], tmp_path: Path
) -> None:
    disk = Disk()
    store = metadata.Store(path, sync=disk.sync)
    disk.failures.append(number)
    _put(store, "doubtful")
    with pytest.raises(kind, match="journal cannot be written"):
        store.flush()

    store.flush()

    assert disk.synced[-1] == b""  # the kernel would not write those pages again: the database's file has it
    assert _keys_after_power_loss(path, b"", tmp_path) == ["doubtful"]
    _put(store, "later")
    store.flush()
    assert [key for key, _ in store.items("b")] == ["doubtful", "later"]
    store.close()


def test_a_flush_of_a_closed_store_has_nothing_to_do(path: Path) -> None:
    disk = Disk()
    store = metadata.Store(path, sync=disk.sync)
    _put(store, "kept")
    store.close()

    store.flush()

    assert disk.synced == []
