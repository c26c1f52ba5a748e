# SPDX-License-Identifier: Apache-2.0
"""OCI hooks: programs of the host (or, startContainer, of the container) that are told the container's state on stdin.

`Hooks` parses the document; the maker runs prestart, createRuntime, poststart and poststop, the init runs createContainer
(before the root switch) and startContainer (last of all). A hook's output is kept for the error text only.
Source: OCI runtime-spec v1.2 §posix-platform-hooks, §state.
"""

from __future__ import annotations

import json
import os
import select
import signal

from holdfast.errors import InvalidArgument
from holdfast.runtime import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_SHOWN_BYTES = 2048
_GROUPS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


class Hook:
    """One program: absolute path, argv, environment (None: the caller's), seconds it may take or None."""

    __slots__ = ("argv", "environment", "path", "timeout_seconds")

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.path: str = document.get("path") or ""
        if not self.path.startswith("/"):
            raise InvalidArgument(f"invalid hook path {self.path!r}: it must be absolute")
        self.argv: list[str] = list(document.get("args") or (self.path,))
        pairs = [entry.partition("=") for entry in document.get("env") or ()]
        self.environment = {name: value for name, _, value in pairs} if pairs else None
        self.timeout_seconds: int | None = document.get("timeout")


class Hooks:
    """The hooks of a spec by their groups, and the state that they are told."""

    __slots__ = ("groups", "state")

    def __init__(self, document: Mapping[str, Any] | None, state: Mapping[str, Any]) -> None:
        self.groups = {name: [Hook(each) for each in (document or {}).get(name) or ()] for name in _GROUPS}
        self.state = dict(state)

    @property
    def concern_init(self) -> bool:
        """Whether the init has to stop for its maker, or run a hook itself."""
        return any(self.groups[name] for name in _GROUPS[:4])

    def run(self, name: str, status: str, pid: int) -> None:
        """Runs a group in order; raises channel.Refusal for the first that fails."""
        state = json.dumps({**self.state, "status": status, "pid": pid}).encode()
        for number, hook in enumerate(self.groups[name]):
            try:
                _run(hook, state)
            except _Failure as failure:
                raise channel.Refusal("hook", 0, f"error running {name} hook #{number}: {failure}") from None

    def before_switch(self, end: channel.Channel, root_fd: int) -> None:
        """In the init, before the root switch: lets the maker run its hooks, then runs createContainer."""
        if self.groups["prestart"] or self.groups["createRuntime"]:
            end.send(channel.PAUSED)
            if end.receive()[0] != channel.GO:
                os._exit(1)
        if self.groups["createContainer"]:
            os.fchdir(root_fd)
            self.run("createContainer", "creating", os.getpid())

    def before_execve(self) -> None:
        """In the init, as the container's process: startContainer."""
        self.run("startContainer", "created", os.getpid())

    def answer_pause(self, end: channel.Channel, pid: int) -> None:
        """In the maker: runs what the paused init waits for and lets it go on."""
        self.run("prestart", "creating", pid)
        self.run("createRuntime", "creating", pid)
        end.send(channel.GO)


class _Failure(Exception):
    """A hook ended badly; the text says how."""


def _run(hook: Hook, state: bytes) -> None:
    fds = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("state", "stdout", "stderr")]
    try:
        os.write(fds[0], state)
        os.lseek(fds[0], 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(fds)]
        environment = os.environ if hook.environment is None else hook.environment
        try:
            pid = os.posix_spawn(hook.path, hook.argv, environment, file_actions=actions)
        except OSError as error:
            raise _Failure(f"fork/exec {hook.path}: {channel.reason(error)}") from None
        _expect_success(hook, _wait(pid, hook.timeout_seconds), fds)
    finally:
        for fd in fds:
            os.close(fd)


def _wait(pid: int, timeout_seconds: int | None) -> int | None:
    """The exit status in waitpid's coding, or None when it had to be killed."""
    if timeout_seconds is None:
        return os.waitpid(pid, 0)[1]
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        in_time = bool(poll.poll(timeout_seconds * 1000))
        if not in_time:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        return status if in_time else None
    finally:
        os.close(pidfd)


def _expect_success(hook: Hook, status: int | None, fds: Sequence[int]) -> None:
    if status is None:
        raise _Failure(f"hook ran past specified timeout of {float(hook.timeout_seconds or 0)}s")
    if status:
        code = os.waitstatus_to_exitcode(status)
        how = f"exit status {code}" if code >= 0 else f"signal: {-code}"
        out, err = (os.pread(fd, _SHOWN_BYTES, 0).decode(errors="replace").strip() for fd in fds[1:])
        raise _Failure(f"{how}, stdout: {out}, stderr: {err}")
