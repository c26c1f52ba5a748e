# SPDX-License-Identifier: Apache-2.0
"""Additional processes of a container: what was asked, what became of it. Kept in memory, as Docker does.

Values and their index; the jobs act. Source: Engine API v1.51 ContainerExec.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from holdfast.containers.config import DockerStruct
from holdfast.errors import NotFound


class ExecConfig(DockerStruct):
    """The wish."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[int] | None = None
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class Exec:
    """One exec; `exit_code` is None until it has ended, `pid` 0 until it was started."""

    __slots__ = (
        "command",
        "config",
        "container_id",
        "ended",
        "exit_code",
        "finished_nanos",
        "id",
        "is_running",
        "pid",
        "was_started",
    )

    def __init__(self, exec_id: str, container_id: str, config: ExecConfig, command: list[str]) -> None:
        self.id = exec_id
        self.container_id = container_id
        self.config = config
        self.command = command
        self.is_running = False
        self.was_started = False
        self.exit_code: int | None = None
        self.pid = 0
        self.finished_nanos = 0
        self.ended = asyncio.Event()

    def finish(self, exit_code: int, finished_nanos: int) -> None:
        """Notes the end and wakes who waits for it."""
        self.is_running = False
        self.exit_code, self.finished_nanos = exit_code, finished_nanos
        self.ended.set()


class Execs:
    """All execs of the daemon by id."""

    def __init__(self) -> None:
        self._execs: dict[str, Exec] = {}

    def add(self, each: Exec) -> None:
        """Remembers a new one."""
        self._execs[each.id] = each

    def get(self, exec_id: str) -> Exec:
        """By its whole id, or NotFound."""
        try:
            return self._execs[exec_id]
        except KeyError:
            raise NotFound(f"No such exec instance: {exec_id}") from None

    def of(self, container_id: str) -> list[Exec]:
        """Those of one container, the oldest first."""
        return [each for each in self._execs.values() if each.container_id == container_id]

    def forget(self, exec_ids: Iterable[str]) -> None:
        """Drops these."""
        for exec_id in exec_ids:
            self._execs.pop(exec_id, None)

    def forget_ended(self, older_than_nanos: int) -> None:
        """Drops those that ended before a time, so that a health check does not fill the memory."""
        ended: Mapping[str, Exec] = {
            key: each
            for key, each in self._execs.items()
            if each.exit_code is not None and each.finished_nanos < older_than_nanos
        }
        self.forget(ended)
