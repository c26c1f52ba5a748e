# SPDX-License-Identifier: Apache-2.0
"""What `hold-runc` keeps of a container: one directory per id below --root with `state.json`, written atomically.

The status is not kept but found out: is the init that was recorded alive (pid and start time), is its gate still up, is
its cgroup frozen. Used by `runtime.commands` only; the daemon's shims have their own files.
Source: OCI runtime-spec v1.2 §state; runc's state directory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile

from holdfast.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from holdfast.runtime import cgroups, gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.cgroups import Cgroup

OCI_VERSION = "1.2.0"
_FILE = "state.json"
_ID = re.compile(r"[\w+\-.]+", re.ASCII)
_MOST_ID_BYTES = 1024


class Record:
    """One container as it was created; `start_time` (clock ticks since boot) tells its init from a later one's pid."""

    __slots__ = ("bundle", "cgroup_path", "container_id", "created", "directory", "owner", "pid", "spec", "start_time")

    def __init__(self, directory: str, document: dict[str, Any]) -> None:
        self.directory = directory
        self.container_id: str = document["id"]
        self.pid: int = document["pid"]
        self.start_time: int = document["start_time"]
        self.bundle: str = document["bundle"]
        self.created: str = document["created"]
        self.owner: int = document["owner"]
        self.cgroup_path: str | None = document["cgroup_path"]
        self.spec: dict[str, Any] = document["spec"]

    def to_json(self) -> dict[str, Any]:
        """What `__init__` reads."""
        return {
            "id": self.container_id,
            "pid": self.pid,
            "start_time": self.start_time,
            "bundle": self.bundle,
            "created": self.created,
            "owner": self.owner,
            "cgroup_path": self.cgroup_path,
            "spec": self.spec,
        }

    def cgroup(self) -> Cgroup | None:
        """The container's cgroup; None for one that was created without (rootless)."""
        return None if self.cgroup_path is None else cgroups.detect().open(self.cgroup_path)

    def is_alive(self) -> bool:
        """Whether the recorded init still runs."""
        return read_start_time(self.pid) == self.start_time

    def status(self) -> str:
        """`created`, `running`, `paused` or `stopped`."""
        if not self.is_alive():
            return "stopped"
        cgroup = self.cgroup()
        if cgroup is not None and cgroup.is_frozen():
            return "paused"
        return "created" if gate.exists(self.directory) else "running"

    def open_pidfd(self) -> int:
        """A descriptor of the init (close-on-exec); ProcessLookupError when it has ended."""
        pidfd = os.pidfd_open(self.pid)
        if not self.is_alive():
            os.close(pidfd)
            raise ProcessLookupError(self.pid)
        return pidfd

    def describe(self) -> dict[str, Any]:
        """The OCI state, with runc's additions."""
        status = self.status()
        root: str = self.spec["root"].get("path") or "rootfs"
        described: dict[str, Any] = {
            "ociVersion": OCI_VERSION,
            "id": self.container_id,
            "pid": 0 if status == "stopped" else self.pid,
            "status": status,
            "bundle": self.bundle,
            "rootfs": os.path.join(self.bundle, root),
            "created": self.created,
        }
        if self.spec.get("annotations"):
            described["annotations"] = self.spec["annotations"]
        described["owner"] = ""
        return described


class Store:
    """The state directory `--root`."""

    __slots__ = ("root",)

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def reserve(self, container_id: str) -> str:
        """Makes the container's directory and returns it; AlreadyExists when the id is taken."""
        directory = self._directory(container_id)
        os.makedirs(self.root, mode=0o711, exist_ok=True)
        try:
            os.mkdir(directory, 0o711)
        except FileExistsError:
            raise AlreadyExists("container with given ID already exists") from None
        return directory

    def load(self, container_id: str) -> Record:
        """The record of a container; NotFound, or Corrupt when its file cannot be read."""
        directory = self._directory(container_id)
        try:
            with open(f"{directory}/{_FILE}", encoding="utf-8") as file:
                return Record(directory, json.load(file))
        except FileNotFoundError:
            raise NotFound("container does not exist") from None
        except (ValueError, KeyError, TypeError) as problem:
            raise Corrupt(f"the state of container {container_id} cannot be read: {problem}") from problem

    def save(self, record: Record) -> None:
        """Writes the record (temp, fsync, rename)."""
        write_atomically(f"{record.directory}/{_FILE}", json.dumps(record.to_json(), indent=1))

    def ids(self) -> list[str]:
        """Ids of all containers, also of those whose record is damaged."""
        try:
            return sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def forget(self, container_id: str) -> None:
        """Removes the container's directory; idempotent."""
        shutil.rmtree(self._directory(container_id), ignore_errors=True)

    def _directory(self, container_id: str) -> str:
        if not _ID.fullmatch(container_id) or container_id in (".", "..") or len(container_id) > _MOST_ID_BYTES:
            raise InvalidArgument(f"invalid container ID format: {container_id}")
        return f"{self.root}/{container_id}"


def read_start_time(pid: int) -> int:
    """When a process was started, in clock ticks since boot; -1 when it has ended (a zombie has)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def write_atomically(path: str, text: str) -> None:
    """Puts a file in place whole; whoever waits for its name never reads half of it."""
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    try:
        os.fchmod(fd, 0o644)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
