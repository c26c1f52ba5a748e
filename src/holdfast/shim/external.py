# SPDX-License-Identifier: Apache-2.0
"""Runs a container's processes with an OCI runtime's command line: runc, crun, any binary that speaks it.

The root file system is mounted in a mount namespace that only the calling process (see `birth`) and the runtime see,
and lives on in the container's own. Every call is a process of 10-50 ms, during which the shim waits. The twin of
`native`. Sources: runc(8), runc-create(8), runc-exec(8), OCI runtime-spec v1.2 §Lifecycle; console by SCM_RIGHTS as
runc's docs/terminals.md describes.
"""

from __future__ import annotations

import array
import json
import os
import socket
import stat

from holdfast.kernel import mount, namespaces, overlay
from holdfast.runtime import mounts, plan, rootfs, seccomp
from holdfast.runtime.channel import Refusal
from holdfast.runtime.errors import StartError
from holdfast.shim import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.runtime import Stdio, Stock
    from holdfast.runtime.cgroups import Cgroup, Hierarchy
    from holdfast.runtime.channel import Channel as Gate
    from holdfast.shim.protocol import Message

_ROOTFS, _RUNTIME_LOG, _PID_FILE, _CONSOLE, _PROCESS = "rootfs", "runtime.log", "pid", "tty.sock", "process.json"
_STATE = "runtime"
_UNIFIED = "/sys/fs/cgroup/unified"
_OCI_VERSION = "1.0.2"
"""What we ask for is in 1.0 already, and crun 1.8 refuses a version that it does not know."""

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Started:
    """A process that runs: pid, a pidfd and, with a terminal, its master; the caller's to close."""

    __slots__ = ("console_fd", "pid", "pidfd")

    def __init__(self, pid: int, console_fd: int | None) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.console_fd = console_fd


class External:
    """One container under a foreign runtime; `command` is its program with arguments, `directory` its bundle."""

    __slots__ = ("_arguments", "_container_id", "_directory", "_directory_fd", "_program")

    def __init__(self, command: Sequence[str], container_id: str, directory: str, directory_fd: int) -> None:
        self._program, *self._arguments = command
        self._container_id = container_id
        self._directory = directory
        self._directory_fd = directory_fd

    def start(
        self,
        launch: Message,
        spec: Message,
        cgroup: Cgroup,
        pipes: Stdio | None,
        gate: Gate,
        hierarchy: Hierarchy,
        wait: Callable[[], None] | None,
        stock: Stock | None,
    ) -> Started:
        """Mounts the root, creates and starts the init; raises StartError with nothing left behind."""
        if wait is not None:
            wait()
        self._prepare_bundle(launch, spec)
        started = self._run_detached("create", ["--bundle", self._directory], self._container_id, pipes)
        try:
            self._call(["start", self._container_id], pipes)
        except StartError:
            self.clean_up()
            raise
        return started

    def execute(
        self, process: Message, spec: Message, cgroup: Cgroup, init: tuple[int, int], pipes: Stdio | None, gate: Gate
    ) -> Started:
        """Starts another process in the container; raises StartError."""
        _enter_private_mounts()
        state.write(self._directory_fd, _PROCESS, process)
        options = ["--detach", "--process", self._path(_PROCESS)]
        return self._run_detached("exec", options, self._container_id, pipes)

    def clean_up(self) -> None:
        """Lets the runtime forget the container, whose init has ended; its root is unmounted already."""
        try:
            _enter_private_mounts()
            self._call(["delete", "--force", self._container_id], None)
        except (OSError, StartError) as error:
            state.append_log(self._directory_fd, f"{error}\n")

    def _prepare_bundle(self, launch: Message, spec: Message) -> None:
        spec["ociVersion"] = _OCI_VERSION
        linux = spec.setdefault("linux", {})
        linux["cgroupsPath"] = launch["cgroup_path"]
        if launch["seccomp"] == "default" and not linux.get("seccomp"):
            capabilities = spec["process"].get("capabilities", {})
            linux["seccomp"] = seccomp.default_profile(frozenset(capabilities.get("bounding", ())), os.uname().machine)
        try:
            _enter_private_mounts()
            if launch["rootfs_mounts"] is not None:
                spec["root"]["path"] = self._mount_root(launch["rootfs_mounts"])
        except OSError as error:
            raise StartError(
                f"cannot mount the root: {error.strerror}", step="rootfs", errno=error.errno or 0
            ) from None
        for number, each in enumerate(spec.get("mounts") or ()):
            if each.get("subpath") or each.get("uidMappings"):
                self._mount_part(each, number)
        state.write(self._directory_fd, state.CONFIG, spec)

    def _mount_root(self, parts: list[Message]) -> str:
        root = self._path(_ROOTFS)
        os.makedirs(root, 0o700, exist_ok=True)
        for each in parts:
            if each["type"] == "overlay":
                attached = overlay.new(each["options"])
            else:
                attached = mount.clone(each["source"], recursive="rbind" in each["options"])
            self._attach(attached, root)
        return root

    def _mount_part(self, wanted: Message, number: int) -> None:
        """A part of a volume or image, or one with other owners, becomes a bind of a place of ours.

        Foreign runtimes know nothing of parts, and runc before 1.2 nothing of id maps, which it leaves out in silence.
        """
        planned = mounts.plan_mount(wanted["type"], wanted["source"], "/", wanted["options"])
        try:
            if not planned.bind:
                whole = self._path(f"whole-{number}")
                os.mkdir(whole, 0o700)
                self._attach(rootfs.make_detached(planned), whole)
                planned = mounts.plan_mount("bind", whole, "/", ("rbind",))
            planned.subpath = wanted.pop("subpath", "")
            planned.id_maps = plan.id_maps(wanted.pop("uidMappings", None), wanted.pop("gidMappings", None))
            part_fd = rootfs.make_detached(planned)
            part = self._path(f"part-{number}")
            if stat.S_ISDIR(os.fstat(part_fd).st_mode):
                os.mkdir(part, 0o700)
            else:
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._attach(part_fd, part)
        except Refusal as refusal:
            raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from None
        except OSError as error:
            text = f'error mounting "{wanted["source"]}" to rootfs at "{wanted["destination"]}": {error.strerror}'
            raise StartError(text, step="mounts", errno=error.errno or 0) from None
        words = [word for word in wanted["options"] if word in ("ro", "rro", "rprivate")]
        wanted.update(type="bind", source=part, options=["rbind", *words])

    def _attach(self, mount_fd: int, path: str) -> None:
        try:
            mount.attach_at(mount_fd, path)
        finally:
            os.close(mount_fd)

    def _run_detached(self, verb: str, options: list[str], container_id: str, pipes: Stdio | None) -> Started:
        pid_file = self._path(_PID_FILE)
        arguments = [verb, "--pid-file", pid_file, *options]
        if pipes is not None:
            self._call([*arguments, container_id], pipes)
            return Started(_read_pid(pid_file), None)
        with _listen(self._directory_fd) as listener:
            path = f"/proc/{os.getpid()}/fd/{self._directory_fd}/{_CONSOLE}"
            try:
                self._call([*arguments, "--console-socket", path, container_id], None)
                console_fd = _receive_console(listener)
            finally:
                os.unlink(_CONSOLE, dir_fd=self._directory_fd)
        return Started(_read_pid(pid_file), console_fd)

    def _call(self, arguments: list[str], pipes: Stdio | None) -> None:
        """Runs the runtime to its end; raises StartError with the last thing it logged."""
        log = self._path(_RUNTIME_LOG)
        options = [*self._arguments, "--root", self._path(_STATE), "--log", log, "--log-format", "json"]
        command = [self._program, *options, *arguments]
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        stdin, stdout, stderr = (null, null, null) if pipes is None else (pipes.stdin, pipes.stdout, pipes.stderr)
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((stdin, stdout, stderr))]
        try:
            pid = os.posix_spawnp(self._program, command, _ENVIRONMENT, file_actions=actions)
        except OSError as error:
            message = f"cannot run {self._program}: {error.strerror}"
            raise StartError(message, step="runtime", errno=error.errno or 0) from None
        finally:
            os.close(null)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise StartError(_last_complaint(log, self._program, arguments[0]), step="runtime")

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


def _enter_private_mounts() -> None:
    """From here on nobody else sees what is mounted, and crun does not see the empty v2 tree that it stumbles over."""
    namespaces.unshare(namespaces.NEWNS)
    mount.mount("none", "/", "", mount.MS_REC | mount.MS_PRIVATE)
    if os.path.ismount(_UNIFIED):
        mount.unmount(_UNIFIED)


def _read_pid(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def _listen(directory_fd: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(f"/proc/self/fd/{directory_fd}/{_CONSOLE}")
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _receive_console(listener: socket.socket) -> int:
    listener.setblocking(False)  # the runtime has ended: whatever it sent is here
    try:
        connection, _ = listener.accept()
        with connection:
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        ancillary = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            return array.array("i", payload)[0]
    raise StartError("the runtime sent no terminal", step="console")


def _last_complaint(log: str, program: str, verb: str) -> str:
    """The runtime's own words for what went wrong, dressed as Docker dresses them."""
    name = os.path.basename(program)
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
    except (OSError, ValueError):
        lines = []
    complaints = [line.get("msg", "") for line in lines if line.get("level") == "error"]
    said = complaints[-1] if complaints else f"{name} {verb} failed"
    return f"OCI runtime {verb if verb in ('exec', 'start') else 'create'} failed: {said}"
