# SPDX-License-Identifier: Apache-2.0
"""Documents by bucket and key in one SQLite file, written in transactions.

It knows nothing of what the documents say. A durable transaction has reached the disk when it ends (0.6 ms here); any
other survives `kill -9` at once and a power loss from the next durable one on (0.05 ms). Every row carries a checksum:
a damaged one is left out and listed in `damaged`, and a damaged file is moved aside (`salvage`), so a start never stops
here. On a full disk what ends or removes something is still written: a reserve is given up for it.
Used from any thread: one writer at a time, reads never wait for a write.
Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import Corrupt, Exhausted, HoldfastError, Internal
from holdfast.metadata import reserve, salvage

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records ("
    "id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, document BLOB NOT NULL, checksum INTEGER NOT NULL,"
    " UNIQUE (bucket, key))"
)
_PUT = (
    "INSERT INTO records (bucket, key, document, checksum) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (bucket, key) DO UPDATE SET document = excluded.document, checksum = excluded.checksum"
)


_DELETE = "DELETE FROM records WHERE bucket = ? AND key = ?"
_RESERVE_BYTES = 1 << 20
"""About 250 writes: what it takes to remove enough to have room again."""


class Transaction:
    """The writes of one transaction, in order; they are carried out at the end of its `with`."""

    __slots__ = ("only_deletes", "statements")

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self.only_deletes = True

    def put(self, bucket: str, key: str, doc: bytes) -> None:
        """Writes the document, over an older one of the same key."""
        self.statements.append((_PUT, (bucket, key, doc, zlib.crc32(doc))))
        self.only_deletes = False

    def delete(self, bucket: str, key: str) -> None:
        """Removes the document; one that is not there is no error."""
        self.statements.append((_DELETE, (bucket, key)))


class Store:
    """One database file; create it once per process, close it last."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self.moved_aside = salvage.check(self._path, SCHEMA)
        self.was_empty = not self._path.exists() or self._path.stat().st_size == 0
        """Whether there was no database: the first start of all, or somebody has lost it."""
        self._reserve = self._path.with_name(self._path.name + ".reserve")
        self._writer = _connect(self._path)
        self._reader = _connect(self._path)
        self._is_full_sync = False
        self.damaged: list[tuple[str, str]] = []
        reserve.make(self._reserve, _RESERVE_BYTES)

    def get(self, bucket: str, key: str) -> bytes | None:
        """The document, None when there is none; raises Corrupt when its checksum is wrong."""
        query = "SELECT document, checksum FROM records WHERE bucket = ? AND key = ?"
        with self._read_lock, _mapped(self._path):
            row: tuple[bytes, int] | None = self._reader.execute(query, (bucket, key)).fetchone()
        if row is None:
            return None
        if zlib.crc32(row[0]) != row[1]:
            raise Corrupt(f"record {bucket}/{key} in {self._path} is damaged")
        return row[0]

    def items(self, bucket: str) -> list[tuple[str, bytes]]:
        """Every sound document of a bucket in the order of first writing; damaged ones are noted in `damaged`."""
        query = "SELECT key, document, checksum FROM records WHERE bucket = ? ORDER BY id"
        with self._read_lock, _mapped(self._path):
            rows: list[tuple[str, bytes, int]] = self._reader.execute(query, (bucket,)).fetchall()
        sound: list[tuple[str, bytes]] = []
        for key, document, checksum in rows:
            if zlib.crc32(document) == checksum:
                sound.append((key, document))
            elif (bucket, key) not in self.damaged:
                self.damaged.append((bucket, key))
        return sound

    @contextmanager
    def transaction(self, durable: bool = True) -> Generator[Transaction]:
        """All writes of the block or none; an exception undoes them. Not to be nested: the inner one waits for ever."""
        with self._write_lock, _mapped(self._path):
            writes = Transaction()
            yield writes
            if self._is_full_sync is not durable:
                self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._is_full_sync = durable
            try:
                self._carry_out(writes)
            except sqlite3.OperationalError as error:
                is_precious = writes.only_deletes or not durable  # an end, not something new
                if "full" not in str(error) or not is_precious or not reserve.give_up(self._reserve):
                    raise
                self._carry_out(writes)

    def _carry_out(self, writes: Transaction) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in writes.statements:
                self._writer.execute(statement, values)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Writes the journal back and closes the file."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute(SCHEMA)
    return connection


@contextmanager
def _mapped(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.DatabaseError, path: Path) -> HoldfastError:
    text = f"{path}: {error}"
    if "full" in str(error):
        return Exhausted(text)
    return Internal(text) if isinstance(error, sqlite3.ProgrammingError) else Corrupt(text)
