# SPDX-License-Identifier: Apache-2.0
"""What the daemon keeps: the data root's safety and room, the storage driver, the database, and with `verify` each blob."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import zlib
from collections.abc import Iterator

from holdfast.api import facts
from holdfast.daemon.config import Config
from holdfast.daemon.doctor.finding import Finding, good, note, wrong
from holdfast.errors import HoldfastError
from holdfast.snapshots import factory

_LITTLE_BYTES = 1 << 30
_LITTLE_SHARE = 0.05


def look(options: Config) -> Iterator[Finding]:
    """Quick looks; nothing is read whole but the database."""
    root = options.data_root
    driver = options.storage_driver or factory.DEFAULT
    try:
        complaint = factory.complaint(driver)
    except HoldfastError as error:
        complaint = error.message
    if complaint is None:
        yield good(f"storage driver {driver}")
    else:
        yield wrong(f"storage driver {driver}: {complaint}", "choose another with --storage-driver, or mend that")
    try:
        found = os.stat(root)
    except FileNotFoundError:
        yield note(f"{root} does not exist", "nothing; the daemon's first start makes it")
        return
    except OSError as error:
        yield wrong(f"{root}: {(error.strerror or '').lower()}", "sudo hold doctor")
        return
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != 0:
        yield wrong(f"{root} is open to others than root", f"chown root {root}; chmod 700 {root}")
    yield from _room(root)
    yield from _database(os.path.join(root, "metadata.db"))


def _room(root: str) -> Iterator[Finding]:
    room = os.statvfs(root)
    free, kind = room.f_bavail * room.f_frsize, facts.file_system_of(root)
    shown = f"{free / (1 << 30):.1f} GB free of {room.f_blocks * room.f_frsize / (1 << 30):.1f} on {kind}"
    step = "hold system prune, or move --data-root to a larger disk"
    if room.f_flag & os.ST_RDONLY:
        yield wrong(f"{root} lies on a file system that is read-only", "look at the kernel's log, then remount it")
    elif free < _LITTLE_BYTES or free < room.f_blocks * room.f_frsize * _LITTLE_SHARE:
        yield wrong(f"{root}: {shown}", step)
    elif room.f_files and room.f_favail < room.f_files * _LITTLE_SHARE:
        yield wrong(f"{root}: {room.f_favail} inodes free of {room.f_files}", step)
    else:
        yield good(f"{root}: {shown}")


def _database(path: str) -> Iterator[Finding]:
    if not os.path.exists(path):
        yield note(f"{path} does not exist", "nothing before the first start; else put it back before you start")
        return
    try:
        damaged = damaged_records(path)
    except sqlite3.Error as error:
        yield wrong(
            f"{path}: {error}", "restart the daemon: it moves a damaged database aside and keeps what can be read"
        )
        return
    for bucket, key in damaged:
        yield wrong(f"the record {key} in {bucket} is damaged", "remove what it is the record of, and make it again")
    if not damaged:
        yield good(f"{path}: every record is whole")
    aside = [name for name in os.listdir(os.path.dirname(path)) if ".damaged-" in name]
    if aside:
        yield note(f"{len(aside)} damaged databases were moved aside", f"rm {path}.damaged-*, when nothing is missed")


def damaged_records(path: str) -> list[tuple[str, str]]:
    """Records whose checksum is wrong; sqlite3.Error when the file itself is."""
    with open_database(path) as connection:
        broken: list[tuple[str]] = connection.execute("PRAGMA quick_check(3)").fetchall()
        if broken != [("ok",)]:
            raise sqlite3.DatabaseError(broken[0][0])
        rows: list[tuple[str, str, bytes, int]] = connection.execute(
            "SELECT bucket, key, document, checksum FROM records"
        ).fetchall()
    return [(bucket, key) for bucket, key, document, checksum in rows if zlib.crc32(document) != checksum]


def open_database(path: str) -> sqlite3.Connection:
    """The database, as it cannot be written to; beside a running daemon and without one."""
    has_log = os.path.exists(path + "-wal")
    return sqlite3.connect(f"file:{path}?{'mode=ro' if has_log else 'immutable=1'}", uri=True, timeout=5.0)


def verify_blobs(options: Config) -> Iterator[Finding]:
    """Reads every blob and compares it with its name."""
    folder = os.path.join(options.data_root, "content/blobs/sha256")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    damaged = [name for name in names if len(name) == hashlib.sha256().digest_size * 2 and not _is_whole(folder, name)]
    for name in damaged:
        yield wrong(f"blob sha256:{name} is not what its name says", "pull its image again: that mends it")
    if not damaged:
        yield good(f"{len(names)} blobs are what their names say")


def _is_whole(folder: str, name: str) -> bool:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == name
    except OSError:
        return False
