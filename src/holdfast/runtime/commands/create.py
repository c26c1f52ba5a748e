# SPDX-License-Identifier: Apache-2.0
"""`hold-runc create`: a container whose init waits for `start` after the command has gone."""

from __future__ import annotations

import os
import pwd
import time

from holdfast.errors import AlreadyExists, Forbidden, HoldfastError, InvalidArgument, Unsupported
from holdfast.runtime import bundle, cgroups, container, gate, hooks, state
from holdfast.runtime.commands import console, context, destroy, flags
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.cgroups import Cgroup, Hierarchy
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "create [command options] <container-id>"
SHARED = {
    "b,bundle": flags.VALUE,
    "console-socket": flags.VALUE,
    "pid-file": flags.VALUE,
    "no-pivot": flags.SWITCH,
    "no-new-keyring": flags.SWITCH,
    "preserve-fds": flags.NUMBER,
}
FLAGS = SHARED


def run(given: Context, options: Flags) -> int:
    """Creates; exit code 0."""
    context.expect(options.arguments, "create", exactly=1)
    made = create(given, options, is_detached=True)
    if made.console_fd is not None:
        os.close(made.console_fd)
    return 0


class Made:
    """A created container: its record, its pidfd (the caller's), and the console when nobody was sent it."""

    __slots__ = ("console_fd", "pidfd", "record")

    def __init__(self, record: state.Record, pidfd: int, console_fd: int | None) -> None:
        self.record = record
        self.pidfd = pidfd
        self.console_fd = console_fd


def create(given: Context, options: Flags, *, is_detached: bool) -> Made:
    """Makes the container of a bundle up to its gate; on failure nothing is left."""
    container_id = options.arguments[0]
    directory = os.path.abspath(options.text("bundle", "."))
    pid_file = options.text("pid-file") and os.path.abspath(options.text("pid-file"))
    socket_path = options.text("console-socket") and os.path.abspath(options.text("console-socket"))
    spec = bundle.load(directory)
    has_terminal = bool(spec["process"].get("terminal"))
    console.check(has_terminal=has_terminal, is_detached=is_detached, socket_path=socket_path)
    os.chdir(directory)
    preserved = (options.number("preserve-fds") or 0) + _hand_listeners_on(spec)
    program = bundle.filter_program(spec)
    record = state.Record(given.store.reserve(container_id), _document(container_id, directory, spec))
    cgroup: Cgroup | None = None
    try:
        hierarchy, cgroup = _make_cgroup(given, container_id, spec)
        record.cgroup_path = None if cgroup is None else cgroup.path
        listener = gate.listen(record.directory)
        try:
            created = container.create(
                container_id=container_id,
                spec=spec,
                rootfs_mounts=None,
                cgroup=cgroup,
                stdio=None,
                seccomp=program,
                bundle=directory,
                hierarchy=hierarchy,
                preserved_fds=preserved,
                gate=listener,
                hooks=hooks.Hooks(spec.get("hooks"), destroy.told(record)),
            )
        finally:
            listener.close()
    except BaseException:
        _clean_up(given, container_id, cgroup)
        raise
    try:
        record.pid, record.start_time = created.pid, state.read_start_time(created.pid)
        if created.console_fd is not None and socket_path:
            console.send(socket_path, created.console_fd)
        given.store.save(record)
        if pid_file:
            state.write_atomically(pid_file, str(created.pid))
    except BaseException:
        created.abort()
        _clean_up(given, container_id, cgroup)
        raise
    os.close(created.detach())
    console_fd = created.console_fd
    if console_fd is not None and socket_path:
        os.close(console_fd)
        console_fd = None
    return Made(record, created.pidfd, console_fd)


def _make_cgroup(given: Context, container_id: str, spec: dict[str, Any]) -> tuple[Hierarchy | None, Cgroup | None]:
    path = bundle.cgroup_path(spec, container_id, is_systemd_form=given.is_systemd_form)
    try:
        hierarchy = cgroups.detect()
        if _has_processes(hierarchy.open(path)):
            raise AlreadyExists(f"container's cgroup is not empty: {path}")
        return hierarchy, hierarchy.create(path, bundle.resources(spec))
    except (Forbidden, Unsupported):
        if not given.is_rootless:
            raise
        return None, None


def _has_processes(cgroup: Cgroup) -> bool:
    try:
        return cgroup.exists() and bool(cgroup.pids())
    except OSError:
        return False


def _document(container_id: str, directory: str, spec: dict[str, Any]) -> dict[str, Any]:
    nanos = time.time_ns()
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanos // 1_000_000_000))
    return {
        "id": container_id,
        "pid": 0,
        "start_time": 0,
        "bundle": directory,
        "created": f"{created}.{nanos % 1_000_000_000:09d}Z",
        "owner": os.getuid(),
        "cgroup_path": None,
        "spec": spec,
    }


def _hand_listeners_on(spec: dict[str, Any]) -> int:
    """Socket activation (sd_listen_fds(3)): the sockets that we were given become the container's."""
    count = os.environ.get("LISTEN_FDS", "")
    if not count.isdigit() or int(count) == 0:
        return 0
    spec["process"].setdefault("env", []).extend((f"LISTEN_FDS={count}", "LISTEN_PID=1"))
    return int(count)


def _clean_up(given: Context, container_id: str, cgroup: Cgroup | None) -> None:
    """After a failed create; the failure itself is what the user is told."""
    try:
        if cgroup is not None:
            cgroup.remove()
    except (OSError, HoldfastError):
        return
    finally:
        given.store.forget(container_id)


def owner_name(uid: int) -> str:
    """A user's name for `list`; the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def start(record: state.Record) -> None:
    """Opens the gate; returns when execve has succeeded, raises StartError or InvalidArgument when it has not.

    A poststart hook that fails stops the container.
    """
    status = record.status()
    if status == "stopped":
        raise InvalidArgument("cannot start a container that has stopped")
    try:
        end = gate.open_gate(record.directory)
    except OSError:
        raise InvalidArgument("cannot start an already running container") from None
    try:
        end.send(b"G")
        message, _ = end.receive()
    except BrokenPipeError:
        message = b""
    finally:
        end.close()
    if message or (not record.is_alive() and not _has_run(record)):
        raise StartError("the container's init died before it could execute", step="exec")
    try:
        destroy.run_hooks(record, "poststart", "running")
    except HoldfastError:
        destroy.kill_and_wait(record)
        raise


def _has_run(record: state.Record) -> bool:
    """A command that ended at once is no failed start; a gate that stands is."""
    return not gate.exists(record.directory)
