# SPDX-License-Identifier: Apache-2.0
"""What the daemon hands to a shim and hears from it: plain values (the daemon's side only, not on the boot path)."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.oci.mount import Mount
from holdfast.shim import protocol

NATIVE = "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGrant:
    """A client's own socket, given to a shim for one process's streams.

    `framed` puts Docker's 8-byte header before each piece; `pending` is what the client had already sent; `detach_keys`
    count only with a terminal; with `close_stdin_once` the end of the client's input is the end of the process's input
    (Docker's StdinOnce), without it the end of the attachment. The daemon's descriptor is closed when the shim has it,
    and left open when the call raises.
    """

    sock: socket.socket
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    detach_keys: bytes = b""
    pending: bytes = b""
    close_stdin_once: bool = False

    def to_message(self) -> dict[str, Any]:
        """The grant without its socket."""
        return {
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "framed": self.framed,
            "detach_keys": protocol.bytes_to_text(self.detach_keys),
            "pending": protocol.bytes_to_text(self.pending),
            "close_stdin": self.close_stdin_once,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """Where the output is kept; see `logs.driver.Target`, which this becomes."""

    driver: str = "json-file"
    path: str
    cache_path: str = ""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that a shim needs to start one container; `directory` is made and filled by the launch.

    `rootfs_mounts` None means that `spec["root"]["path"]` is a directory as it is. `seccomp` is "default" (our profile
    for the spec's capabilities) or "unconfined"; a profile in the spec comes before both. `runtime` is the
    command of a runc-like program, empty for our own.
    """

    container_id: str
    directory: str
    spec: Mapping[str, Any]
    rootfs_mounts: Sequence[Mount] | None
    cgroup_path: str
    log: LogTarget
    seccomp: str = "default"
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    runtime: Sequence[str] = ()
    grants: Sequence[StreamGrant] = ()

    def to_message(self) -> dict[str, Any]:
        """The launch without its spec (which is a file) and its sockets."""
        grants = [grant.to_message() for grant in self.grants]
        for grant in grants:
            grant["close_stdin"] = grant["close_stdin"] or self.stdin_once
        return {
            "container_id": self.container_id,
            "directory": self.directory,
            "rootfs_mounts": None if self.rootfs_mounts is None else [mount.to_json() for mount in self.rootfs_mounts],
            "cgroup_path": self.cgroup_path,
            "seccomp": self.seccomp,
            "log": {
                "driver": self.log.driver,
                "path": self.log.path,
                "cache_path": self.log.cache_path,
                "options": dict(self.log.options),
                "attributes": dict(self.log.attributes),
                "facts": dict(self.log.facts),
            },
            "shares_pids": self._shares_pids(),
            "has_memory_limit": self._has_memory_limit(),
            "tty": self.tty,
            "open_stdin": self.open_stdin,
            "runtime": list(self.runtime) or NATIVE,
            "grants": grants,
        }

    def _has_memory_limit(self) -> bool:
        linux: dict[str, Any] = self.spec.get("linux") or {}
        resources: dict[str, Any] = linux.get("resources") or {}
        memory: dict[str, int] = resources.get("memory") or {}
        return memory.get("limit", 0) > 0

    def _shares_pids(self) -> bool:
        """Whether the init's end is not the end of every process of the container."""
        linux: dict[str, Any] = self.spec.get("linux") or {}
        namespaces: list[dict[str, Any]] = linux.get("namespaces") or []
        return not any(each["type"] == "pid" and not each.get("path") for each in namespaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A process has ended and its output is where it belongs; `exec_id` is None for the container itself."""

    container_id: str
    exec_id: str | None
    exit_code: int
    finished_at_nanos: int
    oom_killed: bool

    @classmethod
    def from_message(cls, container_id: str, message: Mapping[str, Any]) -> Exited:
        """Reads the shim's event, which is also the content of exit.json."""
        return cls(
            container_id=container_id,
            exec_id=message["exec_id"],
            exit_code=message["exit_code"],
            finished_at_nanos=message["finished_at"],
            oom_killed=message.get("oom_killed", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """The kernel killed a process of the container for want of memory; others may live on."""

    container_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detached:
    """A client typed its detach keys."""

    container_id: str
    exec_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimLost:
    """The shim is gone without a farewell: kill what is left by the cgroup; nobody knows an exit code."""

    container_id: str


Event = Exited | Detached | OutOfMemory | ShimLost
