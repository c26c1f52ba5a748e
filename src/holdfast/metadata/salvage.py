# SPDX-License-Identifier: Apache-2.0
"""What to do with a database file that is damaged: keep it for a look, take every readable row over into a new one.

Called by `store` before it opens the file. It never raises because of the file's content. The scan goes by row id in
both directions, so one broken page costs the rows on it and not those behind it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

_Row = tuple[int, str, str, bytes, int]
_COLUMNS = "id, bucket, key, document, checksum"


def check(path: Path, schema: str) -> Path | None:
    """Leaves a sound or absent file alone; else replaces it by what could be read and returns where the old one is."""
    if not path.exists() or _is_sound(path):
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.replace(source, aside.with_name(aside.name + suffix))
    rows = read_rows(aside)
    fresh = sqlite3.connect(path, isolation_level=None)
    try:
        fresh.execute("PRAGMA journal_mode = WAL")
        fresh.execute(schema)
        fresh.execute("BEGIN IMMEDIATE")
        fresh.executemany(f"INSERT OR IGNORE INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", rows)
        fresh.execute("COMMIT")
    finally:
        fresh.close()
    return aside


def _is_sound(path: Path) -> bool:
    """Whether every page, index and name can be read, and the file written."""
    try:
        with closing(_open(path)) as connection:
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != (b"ok",):
                return False
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone() is not None:
                for row in connection.execute(f"SELECT {_COLUMNS} FROM records"):
                    _decoded(row)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError):
        return False
    return True


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = bytes
    return connection


def _decoded(row: tuple[int, bytes, bytes, bytes, int]) -> _Row:
    """The row with its names as text; UnicodeDecodeError or TypeError for what no Store has written."""
    number, bucket, key, document, checksum = row
    if not isinstance(checksum, int) or not isinstance(document, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("a column of another type")
    return number, str(bucket, "utf-8"), str(key, "utf-8"), document, checksum


def read_rows(path: Path) -> list[_Row]:
    """Every row that can still be read, by ascending id; an unreadable file gives none."""
    found: dict[int, _Row] = {}
    try:
        with closing(_open(path)) as connection:
            _scan(connection, found, "ASC")
            _scan(connection, found, "DESC")
    except sqlite3.DatabaseError:
        return []
    return [found[number] for number in sorted(found)]


def _scan(connection: sqlite3.Connection, found: dict[int, _Row], direction: str) -> None:
    """Adds rows until the first broken page seen from this side; a row with broken names is passed over."""
    try:
        for row in connection.execute(f"SELECT {_COLUMNS} FROM records ORDER BY id {direction}"):
            try:
                found.setdefault(row[0], _decoded(row))
            except (UnicodeDecodeError, TypeError):
                continue
    except sqlite3.DatabaseError:
        return
