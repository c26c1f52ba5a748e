# SPDX-License-Identifier: Apache-2.0
"""Makes a container: plans, prepares in the maker, clones the init, hears how it went, lets it go.

The maker (a shim, or hold-runc) is single-threaded and stays as it was, also after a failure. What can be made ready
here is: a child pays a page fault for every page that it touches. Called by the shim; the child's side is `init`.
"""

from __future__ import annotations

import os
import signal

from holdfast.kernel import borrow, capabilities, mount, namespaces, process
from holdfast.runtime import cgroups, channel, init, mounts, plan, prepare, rootfs
from holdfast.runtime.channel import reason
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket
    from typing import Any

    from holdfast.oci.mount import Mount
    from holdfast.runtime.cgroups import Cgroup, Hierarchy
    from holdfast.runtime.hooks import Hooks
    from holdfast.runtime.plan import Plan


class Stdio:
    """The container's ends of its three streams, as descriptors that the caller owns."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, stdin: int, stdout: int, stderr: int) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


class Created:
    """An init that has done everything but execve. `console_fd` is the pty's master; the caller owns it and `pidfd`."""

    __slots__ = ("_end", "console_fd", "missing_capabilities", "pid", "pidfd")

    def __init__(
        self, pid: int, pidfd: int, console_fd: int | None, end: channel.Channel, missing: tuple[str, ...]
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd = console_fd
        self.missing_capabilities = missing
        self._end = end

    def start(self) -> None:
        """Lets it execute; returns when execve has succeeded, raises StartError (and reaps) when it has not."""
        try:
            self._end.send(channel.GO)
            message, _ = self._end.receive()
        except BrokenPipeError:
            message = channel.READY
        except StartError:
            self._reap()
            raise
        finally:
            self._end.close()
        if message:
            self._reap()
            raise StartError("the container's init died before it could execute", step="exec")

    def abort(self) -> None:
        """Kills it and reaps it; the console and the pidfd are closed too. Idempotent."""
        self._end.close()
        if self.pidfd >= 0:
            kill(self.pidfd)
            self._reap()

    def detach(self) -> int:
        """Gives the gate away as a descriptor, for a caller that must leave before the start (hold-runc create)."""
        return self._end.detach()

    def _reap(self) -> None:
        reap(self.pidfd)
        if self.console_fd is not None:
            os.close(self.console_fd)
            self.console_fd = None
        self.pidfd = -1


def create(
    *,
    container_id: str,
    spec: dict[str, Any],
    rootfs_mounts: Sequence[Mount] | None,
    cgroup: Cgroup | None,
    stdio: Stdio | None,
    seccomp: bytes | None,
    bundle: str,
    hierarchy: Hierarchy | None = None,
    wait: Callable[[], None] | None = None,
    preserved_fds: int = 0,
    gate: socket | None = None,
    hooks: Hooks | None = None,
) -> Created:
    """Makes a container's init and returns when it waits at execve; raises StartError and leaves nothing behind.

    The cgroup exists already and stays the caller's. `hierarchy` is asked what to mount at /sys/fs/cgroup; without it
    a cgroup mount of the spec is left out on v1. `wait` returns when the namespaces and the sources of mounts that the
    spec names are there, or raises; it is called as late as can be. With `gate` (a listener) the init waits there for its start instead of
    for `Created.start`, and outlives the caller; `hooks` are those that the init and its maker run before execve.
    """
    planned = plan.plan_create(container_id, spec, rootfs_mounts, bundle)
    handed = init.hand(planned.process, stdio, seccomp)
    handed.preserved_fds = preserved_fds
    handed.gate = gate
    handed.hooks = hooks if hooks is not None and hooks.concern_init else None
    held: list[int] = []
    try:
        into, outer = _make_ready(planned, handed, cgroup, hierarchy, held, wait)
        mine, its = channel.make_pair()
        try:
            pid, pidfd = _clone(planned, outer, into)
        except OSError as error:
            mine.close()
            its.close()
            raise StartError(
                f"unable to start container process: clone3: {reason(error)}", step="clone", errno=error.errno or 0
            ) from error
        if pid == 0:
            init.run(lambda end: init.init_container(planned, handed, end), its)
        its.close()
    finally:
        for fd in held:
            os.close(fd)
    if handed.waits_for_maps:
        _write_maps(planned, pid, pidfd, mine)
    return await_ready(pid, pidfd, mine, missing(planned.process, handed.own_bounding), handed.hooks)


def become(
    *,
    container_id: str,
    spec: dict[str, Any],
    rootfs_mounts: Sequence[Mount] | None,
    cgroup: Cgroup | None,
    stdio: Stdio | None,
    seccomp: bytes | None,
    bundle: str,
    hierarchy: Hierarchy,
    end: channel.Channel,
    wait: Callable[[], None] | None = None,
    stock: prepare.Stock | None = None,
) -> bool:
    """As `create` and `start` in one, and quicker: the init borrows the caller's memory, which uses the caller up.

    The init becomes a child of the caller's parent, at the other side of `end`, to which it says READY (with the
    console) or its refusal; it has executed when that side finds nobody else at `end`. Returns False, with nothing
    done, when it must be done the other way; raises StartError. See `kernel.borrow`.
    """
    planned = plan.plan_create(container_id, spec, rootfs_mounts, bundle)
    flags = planned.clone_flags
    if flags & (namespaces.NEWUSER | namespaces.NEWTIME) or not borrow.is_possible():
        return False
    handed = init.hand(planned.process, stdio, seccomp)
    handed.goes_at_once = True
    into, outer = _make_ready(planned, handed, cgroup, hierarchy, [], wait, stock)
    if into is not None and cgroup is not None:
        cgroup.join(os.getpid())  # a member's child is born a member
    for fd, kind in outer:
        namespaces.setns(fd, kind)
    try:
        borrow.become(
            lambda: init.run(lambda channel: init.init_container(planned, handed, channel), end),
            flags & ~namespaces.NEWCGROUP,
            end.fileno(),
        )
    except OSError as error:
        raise StartError(
            f"unable to start container process: clone: {reason(error)}", step="clone", errno=error.errno or 0
        ) from error


def rehearse(spec: dict[str, Any], hierarchy: Hierarchy) -> prepare.Stock:
    """Does the half of `become` that no container is needed for; a process that waits for a start has the pages then.

    Returns what `become` can use; StartError.
    """
    planned = plan.plan_create("", spec, (), "/")
    links = _expand_cgroup(planned, hierarchy, hierarchy.open("/"))
    init.hand(planned.process, Stdio(0, 1, 2), None)
    return prepare.Stock(planned, links)


def _make_ready(
    planned: Plan,
    handed: init.Handed,
    cgroup: Cgroup | None,
    hierarchy: Hierarchy | None,
    held: list[int],
    wait: Callable[[], None] | None,
    stock: prepare.Stock | None = None,
) -> tuple[int | None, list[tuple[int, int]]]:
    """Does what can be done before there is a child; returns the cgroup to be born in (v2) and `outer` joins."""
    handed.waits_for_maps = bool(planned.clone_flags & namespaces.NEWUSER)
    links = _expand_cgroup(planned, hierarchy, cgroup)
    into, handed.cgroup_fds = open_cgroup(cgroup, held)
    handed.detached = _detach_root(planned, held)
    if wait is not None:
        wait()
    handed.prepared = prepare.prepare(planned, links, held, stock)
    handed.join_fds, outer = _open_joins(planned, held)
    return into, outer


def missing(planned: plan.ProcessPlan, own: int) -> tuple[str, ...]:
    """The capabilities that were asked for and that this machine's bounding set does not have."""
    return capabilities.names_of(planned.capabilities.bounding & ~own) if planned.capabilities else ()


def await_ready(
    pid: int, pidfd: int, mine: channel.Channel, missing_capabilities: tuple[str, ...], hooks: Hooks | None = None
) -> Created:
    """Waits until a child stands at execve; raises its StartError after reaping it."""
    try:
        message, console_fd = mine.receive()
        if message == channel.PAUSED and hooks is not None:
            hooks.answer_pause(mine, pid)
            message, console_fd = mine.receive()
        if message != channel.READY:
            raise StartError("unable to start container process: its init was killed", step="init")
    except (StartError, channel.Refusal) as failure:
        mine.close()
        kill(pidfd)
        reap(pidfd)
        if isinstance(failure, channel.Refusal):
            raise StartError(failure.text, step=failure.step, errno=failure.errno) from None
        raise
    return Created(pid, pidfd, console_fd, mine, missing_capabilities)


def _write_maps(planned: Plan, pid: int, pidfd: int, mine: channel.Channel) -> None:
    try:
        namespaces.write_id_maps(pid, planned.uid_map, planned.gid_map)
        mine.send(channel.GO)
    except OSError as error:
        mine.close()
        kill(pidfd)
        reap(pidfd)
        text = f"unable to start container process: id maps: {reason(error)}"
        raise StartError(text, step="user", errno=error.errno or 0) from error


def _clone(planned: Plan, outer: Sequence[tuple[int, int]], cgroup_fd: int | None) -> tuple[int, int]:
    """clone3, with this process in the namespaces that its child must be born in, and back again."""
    flags = planned.clone_flags & ~namespaces.NEWCGROUP
    entered: list[tuple[int, int]] = []
    pid = -1
    try:
        for fd, kind in outer:
            entered.append((namespaces.open_own(kind, for_children=kind == namespaces.NEWPID), kind))
            namespaces.setns(fd, kind)
        if planned.time_offsets and flags & namespaces.NEWTIME:
            entered.append((namespaces.open_own(namespaces.NEWTIME), namespaces.NEWTIME))
            flags &= ~namespaces.NEWTIME
            namespaces.unshare(namespaces.NEWTIME)
            _write("/proc/self/timens_offsets", planned.time_offsets)
        pid, pidfd = process.clone3(flags, cgroup_fd=cgroup_fd)
        return pid, pidfd
    finally:
        if pid:
            _return_home(entered)


def _return_home(entered: Sequence[tuple[int, int]]) -> None:
    for fd, kind in reversed(entered):
        namespaces.setns(fd, kind)
        os.close(fd)


def _open_joins(planned: Plan, held: list[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Opens the namespaces to join: (those that the child joins, those that this process must be in at the clone)."""
    inner: list[tuple[int, int]] = []
    outer: list[tuple[int, int]] = []
    for kind, path in planned.joins:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            text = f"lstat {path}: {reason(error)}"
            raise StartError(text, step="namespaces", errno=error.errno or 0) from error
        held.append(fd)
        if kind == namespaces.NEWPID or (planned.clone_flags & namespaces.NEWUSER and kind != namespaces.NEWNS):
            outer.append((fd, kind))
        else:
            inner.append((fd, kind))
    inner.sort(key=lambda join: join[1] != namespaces.NEWUSER)
    return inner, outer


def _detach_root(planned: Plan, held: list[int]) -> list[int]:
    """Mounts the root's parts without a place, while nobody waits; only the container's init will place them."""
    for each in planned.rootfs_mounts or ():
        try:
            held.append(rootfs.make_detached(each))
        except OSError as error:
            text = f"error mounting the root file system ({each.fstype}): {error.strerror or error}"
            raise StartError(text, step="rootfs", errno=error.errno or 0) from error
    return held[len(held) - len(planned.rootfs_mounts or ()) :] if planned.rootfs_mounts else []


def open_cgroup(cgroup: Cgroup | None, held: list[int]) -> tuple[int | None, list[int]]:
    """How a child gets into its cgroup: (the v2 directory to be born in, the v1 files to write itself into)."""
    if cgroup is None:
        return None, []
    into = cgroup.into_fd()
    if into is not None:
        held.append(into)
        return into, []
    fds = cgroup.join_fds()
    held.extend(fds)
    return None, fds


def _expand_cgroup(planned: Plan, hierarchy: Hierarchy | None, cgroup: Cgroup | None) -> Sequence[tuple[str, str]]:
    """Puts what a spec's `cgroup` mount means here in its place (nothing without a cgroup); returns the links beside."""
    if not any(each.fstype == "cgroup" for each in planned.mounts):
        return ()
    owner: Any = None
    wanted: Sequence[Mount] = ()
    if cgroup is not None:
        owner = hierarchy or cgroups.detect()  # a union of two classes, each of which takes its own kind of cgroup
        wanted = owner.container_mounts(cgroup)
    expanded: list[mounts.PlannedMount] = []
    for each in planned.mounts:
        if each.fstype == "cgroup":
            is_readonly = bool(each.attributes_add & mount.ATTR_RDONLY)
            for m in wanted:
                options = m.options if is_readonly else tuple(word for word in m.options if word != "ro")
                expanded.append(mounts.plan_mount(m.type, m.source, m.target, options))
        else:
            expanded.append(each)
    planned.mounts = tuple(expanded)
    return owner.aliases() if owner else ()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def kill(pidfd: int) -> None:
    """SIGKILL; a process that has gone is fine."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return


def reap(pidfd: int) -> None:
    """Waits for a child's end, takes its status and closes the pidfd."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except ChildProcessError:
        pass
    finally:
        os.close(pidfd)
