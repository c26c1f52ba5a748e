# SPDX-License-Identifier: Apache-2.0
"""One more process in a running container: one clone, one setns by pidfd, the same end as an init's.

The maker sets only its children's pid namespace for the length of the clone, so the new process is its own child and a
member of the container's pid namespace at once, without a second fork. Called by the shim and `hold-runc exec`.
Source: setns(2) (pidfd, Linux 5.8), pid_namespaces(7).
"""

from __future__ import annotations

import os
import signal

from holdfast.kernel import borrow, namespaces
from holdfast.kernel import process as processes
from holdfast.runtime import channel, container, init, plan
from holdfast.runtime.channel import reason
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.cgroups import Cgroup

_KINDS = (
    namespaces.NEWUSER,
    namespaces.NEWNS,
    namespaces.NEWNET,
    namespaces.NEWIPC,
    namespaces.NEWUTS,
    namespaces.NEWCGROUP,
)


class ExecProcess:
    """A process whose execve has succeeded. `console_fd` is the pty's master; the caller owns it and `pidfd`."""

    __slots__ = ("console_fd", "missing_capabilities", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, console_fd: int | None, missing: tuple[str, ...]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd = console_fd
        self.missing_capabilities = missing


def exec_process(
    *,
    pid: int,
    pidfd: int,
    process: dict[str, Any],
    cgroup: Cgroup | None,
    stdio: container.Stdio | None,
    seccomp: bytes | None,
    preserved_fds: int = 0,
) -> ExecProcess:
    """Runs a command beside the init `pid` (held by `pidfd`); returns when execve has succeeded, raises StartError."""
    planned = plan.plan_process(process)
    handed = init.hand(planned, stdio, seccomp)
    handed.preserved_fds = preserved_fds
    kinds, foreign_pid = _kinds(pid, pidfd)
    held: list[int] = []
    try:
        into, handed.cgroup_fds = container.open_cgroup(cgroup, held)
        mine, its = channel.make_pair()
        try:
            child, child_pidfd = _clone(pidfd if foreign_pid else -1, into)
        except OSError as error:
            mine.close()
            its.close()
            text = f"unable to start container process: clone3: {reason(error)}"
            raise StartError(text, step="clone", errno=error.errno or 0) from error
        if child == 0:
            init.run(lambda end: init.init_exec(planned, handed, (pidfd, kinds), end), its)
        its.close()
    finally:
        for fd in held:
            os.close(fd)
    made = container.await_ready(child, child_pidfd, mine, container.missing(planned, handed.own_bounding))
    made.start()
    return ExecProcess(made.pid, made.pidfd, made.console_fd, made.missing_capabilities)


def become_exec(
    *,
    pid: int,
    pidfd: int,
    process: dict[str, Any],
    cgroup: Cgroup | None,
    stdio: container.Stdio | None,
    seccomp: bytes | None,
    end: channel.Channel,
) -> bool:
    """As `exec_process`, in the way of `container.become`: the command borrows the caller's memory and uses it up."""
    if not borrow.is_possible():
        return False
    planned = plan.plan_process(process)
    handed = init.hand(planned, stdio, seccomp)
    handed.goes_at_once = True
    kinds, foreign_pid = _kinds(pid, pidfd)
    into, handed.cgroup_fds = container.open_cgroup(cgroup, [])
    if into is not None and cgroup is not None:
        cgroup.join(os.getpid())
    try:
        if foreign_pid:
            namespaces.setns(pidfd, namespaces.NEWPID)
        borrow.become(
            lambda: init.run(lambda channel: init.init_exec(planned, handed, (pidfd, kinds), channel), end),
            0,
            end.fileno(),
        )
    except OSError as error:
        text = f"unable to start container process: clone: {reason(error)}"
        raise StartError(text, step="clone", errno=error.errno or 0) from error


def _clone(pidfd: int, cgroup_fd: int | None) -> tuple[int, int]:
    if pidfd < 0:
        return processes.clone3(cgroup_fd=cgroup_fd)
    home = namespaces.open_own(namespaces.NEWPID, for_children=True)
    try:
        namespaces.setns(pidfd, namespaces.NEWPID)
        child, child_pidfd = processes.clone3(cgroup_fd=cgroup_fd)
        if child:
            namespaces.setns(home, namespaces.NEWPID)
        return child, child_pidfd
    finally:
        os.close(home)


def _kinds(pid: int, pidfd: int) -> tuple[int, bool]:
    """The kinds of namespaces in which the container differs from this process, and whether its pids do."""
    kinds = 0
    try:
        for kind in (*_KINDS, namespaces.NEWPID, namespaces.NEWTIME):
            name = namespaces.PROC_NAMES[kind]
            if os.stat(f"/proc/{pid}/ns/{name}").st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
                kinds |= kind
        signal.pidfd_send_signal(pidfd, 0)  # the pid still was that process when we looked
    except (FileNotFoundError, ProcessLookupError):
        raise StartError("cannot exec in a stopped container", step="namespaces") from None
    return kinds & ~namespaces.NEWPID, bool(kinds & namespaces.NEWPID)
