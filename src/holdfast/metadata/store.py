# SPDX-License-Identifier: Apache-2.0
"""Documents by bucket and key in one SQLite file, written in transactions.

It knows nothing of what the documents say. A durable transaction has reached the disk when it ends (0.6 ms here); any
other survives `kill -9` at once (0.05 ms) and a power loss from the next durable one, or the next `flush`, on. What a
power loss takes are the last transactions, never one from between. Every row carries a checksum: a damaged one is left
out and listed in `damaged`, and a damaged file is moved aside (`salvage`), so a start never stops here. On a full disk
what ends or removes something is still written: a reserve is given up for it.
Used from any thread: one writer at a time, reads never wait for a write, and nobody for a `flush` but who calls it.
Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous; decisions/0016.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Generator
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

    def __init__(self, path: str | Path, *, sync: Callable[[int], None] = os.fdatasync) -> None:
        self._path = Path(path)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self.moved_aside = salvage.check(self._path, SCHEMA)
        self.was_empty = not self._path.exists() or self._path.stat().st_size == 0
        """Whether there was no database: the first start of all, or somebody has lost it."""
        self._reserve = self._path.with_name(self._path.name + ".reserve")
        self._writer = _connect(self._path)
        self._reader = _connect(self._path)
        self._is_full_sync = False
        # one file for as long as a connection is open; SQLite's locks, which a close would drop, are on the others
        self._journal_fd = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        self._sync = sync
        self._has_lost_pages = False
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
    def transaction(self, durable: bool = True, *, is_precious: bool = False) -> Generator[Transaction]:
        """All writes of the block or none; an exception undoes them. Not to be nested: the inner one waits for ever.

        What only removes, and what `is_precious` (an end, not something new), is written on a full disk, too.
        """
        with self._write_lock, _mapped(self._path):
            writes = Transaction()
            yield writes
            if self._is_full_sync is not durable:
                self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._is_full_sync = durable
            try:
                self._carry_out(writes)
            except sqlite3.OperationalError as error:
                may_take = is_precious or writes.only_deletes
                if "full" not in str(error) or not may_take or not reserve.give_up(self._reserve):
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

    def flush(self) -> None:
        """Puts on the disk what all transactions up to now have written; others go on meanwhile. Blocks for the disk.

        Raises Exhausted, Corrupt; the transactions stand nevertheless, and the next flush tries again.
        """
        with self._flush_lock:
            if self._journal_fd < 0:
                return  # closing has put everything on the disk
            if self._has_lost_pages:
                self._write_back()
            try:
                self._sync(self._journal_fd)
            except OSError as error:
                self._has_lost_pages = True
                kind = Exhausted if error.errno in (errno.ENOSPC, errno.EDQUOT) else Corrupt
                raise kind(f"{self._path}: the journal cannot be written: {os.strerror(error.errno or 0)}") from error
            self._has_lost_pages = False

    def _write_back(self) -> None:
        """Takes the journal into the database and empties it.

        The kernel holds pages that it could not write for clean and never tries again: fsync(2), "EIO". From the
        database's file they are written anew.
        """
        with self._write_lock, self._read_lock, _mapped(self._path):
            is_busy: int = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise Corrupt(f"{self._path}: another program reads it, so its journal cannot be written back")

    def close(self) -> None:
        """Writes the journal back and closes the file."""
        with self._flush_lock, self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()
            if self._journal_fd >= 0:
                os.close(self._journal_fd)
                self._journal_fd = -1


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
