# SPDX-License-Identifier: Apache-2.0
"""What belongs to no container any more: shims' folders, control groups, mounts, namespaces, files.

Containers are those of the database. Beside a daemon at work something may be seen in its making; look twice.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator

from holdfast.daemon.config import Config
from holdfast.daemon.doctor import service, storage
from holdfast.daemon.doctor.finding import Finding, good, note, wrong
from holdfast.errors import HoldfastError
from holdfast.runtime import cgroups
from holdfast.runtime.cgroups import layout

_ID = re.compile("[0-9a-f]{64}")
_RESTART = "restart the daemon: it sweeps them away"


def look(options: Config) -> Iterator[Finding]:
    """Everything of a container's that has no container."""
    try:
        known = _containers(os.path.join(options.data_root, "metadata.db"))
    except sqlite3.Error as error:
        yield note(f"who is known cannot be read: {error}", "mend the database first")
        return
    found = [
        *_unknown("shims' folders", os.path.join(options.exec_root, "shims"), known),
        *_unknown("containers' folders", os.path.join(options.data_root, "containers"), known),
        *_cgroups("/" + options.cgroup_parent.strip("/"), known),
        *_mounts(options),
    ]
    if service.running_pid(options.data_root) is None:
        found += _namespaces(os.path.join(options.exec_root, "netns"))
    yield from found or [good(f"nothing is left over; {len(known)} containers are known")]


def _containers(path: str) -> set[str]:
    if not os.path.exists(path):
        return set()
    with storage.open_database(path) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM records WHERE bucket = 'containers'")}


def _unknown(what: str, folder: str, known: set[str]) -> Iterator[Finding]:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    strange = [name for name in names if _ID.fullmatch(name) and name not in known]
    if strange:
        yield wrong(f"{len(strange)} {what} of nobody in {folder}, such as {strange[0][:12]}", _RESTART)


def _cgroups(parent: str, known: set[str]) -> Iterator[Finding]:
    """Control groups are not swept away by a start: dockerd, too, has its containers' below /docker."""
    try:
        hierarchy = cgroups.detect()
        roots = hierarchy.open(parent).paths()
    except HoldfastError:
        return
    names = {name for root in roots if os.path.isdir(root) for name in os.listdir(root) if _ID.fullmatch(name)}
    strange = sorted(names - known)
    busy = [name for name in strange if hierarchy.open(f"{parent}/{name}").pids()]
    empty = [name for name in strange if name not in busy]
    if busy:
        yield note(
            f"{len(busy)} control groups below {parent} have processes and none of our containers, such as {busy[0][:12]}",
            f"another daemon's, or left behind: ps -fp $(cat {roots[0]}/{busy[0]}/cgroup.procs)",
        )
    if empty:
        yield note(
            f"{len(empty)} control groups below {parent} are empty and of nobody, such as {empty[0][:12]}",
            f"rmdir {roots[0]}/{empty[0]}, and so on in each hierarchy",
        )


def _mounts(options: Config) -> Iterator[Finding]:
    """Layers are mounted in containers only; volumes and namespaces have their places."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [layout.unescape(line.split()[4]) for line in file]
    places = (f"{options.data_root}/volumes/", f"{options.exec_root}/")
    for point in points:
        if point.startswith(f"{options.data_root}/") and not point.startswith(places):
            yield wrong(f"{point} is mounted on the host, where it keeps its layer busy", f"umount {point}")


def _namespaces(folder: str) -> Iterator[Finding]:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if names:
        yield note(f"{len(names)} network namespaces wait in {folder}", "start the daemon: it knows whose they are")
