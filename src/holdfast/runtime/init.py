# SPDX-License-Identifier: Apache-2.0
"""The child: from clone3 to execve, in one container's or one exec's namespaces.

A copy of a small single-threaded Python; it never returns, never imports after `freeze`, opens nothing by a name of the
container except through openat2, and says every failure as (step, errno, text) on its channel. Called by `container` and
`exec` in the process that clone3 returned 0 to. Source: security.md R1-R5.
"""

from __future__ import annotations

import gc
import os
import sys

from holdfast.kernel import keyring, mount, namespaces, process, terminal
from holdfast.runtime import channel, devices, identity, rootfs
from holdfast.runtime.channel import Channel, Refusal, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket
    from typing import NoReturn, ParamSpec, TypeVar

    from holdfast.runtime.container import Stdio
    from holdfast.runtime.hooks import Hooks
    from holdfast.runtime.plan import Capabilities, Plan, ProcessPlan
    from holdfast.runtime.prepare import Prepared

    P = ParamSpec("P")
    R = TypeVar("R")

_FAILED = 1


class Handed:
    """What the maker gives its child besides the plan: open descriptors and facts about itself."""

    __slots__ = (
        "cgroup_fds",
        "detached",
        "gate",
        "goes_at_once",
        "hooks",
        "ignored_signals",
        "join_fds",
        "own_bounding",
        "prepared",
        "preserved_fds",
        "program",
        "sets",
        "stdio",
        "waits_for_maps",
    )

    cgroup_fds: Sequence[int]
    detached: Sequence[int]
    gate: socket | None
    goes_at_once: bool
    hooks: Hooks | None
    ignored_signals: int
    join_fds: Sequence[tuple[int, int]]
    own_bounding: int
    prepared: Prepared
    preserved_fds: int
    program: bytes | None
    sets: Capabilities | None
    stdio: tuple[int, int, int] | None
    waits_for_maps: bool


def hand(plan: ProcessPlan, stdio: Stdio | None, program: bytes | None) -> Handed:
    """What every child is handed; the descriptors of a container's are added by its maker."""
    handed = Handed()
    handed.ignored_signals, handed.own_bounding = process.read_status()
    handed.sets = plan.capabilities.limited_to(handed.own_bounding) if plan.capabilities else None
    handed.program = program
    handed.preserved_fds = 0
    handed.gate = handed.hooks = None
    handed.stdio = (stdio.stdin, stdio.stdout, stdio.stderr) if stdio else None
    handed.goes_at_once = False
    return handed


class _RefuseImports:
    """The last import hook: nothing of a container becomes our code."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        raise ImportError(f"import of {fullname} after the freeze")


def freeze() -> None:
    """From here on this process imports nothing and collects nothing (security.md R1)."""
    gc.disable()
    sys.path = []
    sys.meta_path = [_RefuseImports()]


def run(body: Callable[[Channel], None], end: Channel) -> NoReturn:
    """Runs a child's steps, which end in execve; whatever is raised instead travels to the maker."""
    try:
        try:
            body(end)
        except Refusal as refusal:
            end.send_refusal(refusal.step, refusal.errno, refusal.text)
        except OSError as error:
            end.send_refusal("init", error.errno or 0, f"unable to start container process: {reason(error)}")
        except BaseException as error:  # noqa: BLE001 - the child must not return into its maker's stack
            end.send_refusal("init", 0, f"unable to start container process: {type(error).__name__}: {error}")
    finally:
        os._exit(_FAILED)


def init_container(plan: Plan, handed: Handed, end: Channel) -> None:
    """A container's first process."""
    process.set_dumpable(False)
    process.reset_signals(handed.ignored_signals)
    freeze()
    if handed.waits_for_maps:
        end.receive()
        process.set_identity(0, 0, None)
    for fd, kind in handed.join_fds:
        _step("namespaces", namespaces.setns, fd, kind)
    os.setsid()
    if plan.process.oom_score_adj is not None:
        _set_oom_score(plan.process.oom_score_adj)
    if plan.process.apparmor_profile:
        _confine(plan.process.apparmor_profile)
    if plan.clone_flags & namespaces.NEWCGROUP and not handed.cgroup_fds:
        namespaces.unshare(namespaces.NEWCGROUP)  # born in its cgroup (v2): the mounts below must see it as the root
    os.umask(0o022)
    root = _build_tree(plan, handed)
    master = slave = -1
    if plan.process.terminal:
        master, slave = _step("console", devices.open_console, root.fd, root.devpts_fd)
        _size_console(plan.process, master)
        _step("console", devices.bind_console, root, slave)
    if handed.hooks is not None:
        handed.hooks.before_switch(end, root.fd)
    _step("rootfs", rootfs.switch, root, readonly=plan.root_is_readonly, propagation=plan.root_propagation)
    if plan.hostname:
        namespaces.set_hostname(plan.hostname)
    if plan.domainname:
        namespaces.set_domainname(plan.domainname)
    for fd in handed.cgroup_fds:
        _step("cgroup", os.write, fd, b"0")
    if plan.clone_flags & namespaces.NEWCGROUP and handed.cgroup_fds:
        namespaces.unshare(namespaces.NEWCGROUP)
    _finish(plan.process, handed, end, (master, slave), keyring_name=plan.keyring_name, makes_directory=True)


def init_exec(plan: ProcessPlan, handed: Handed, target: tuple[int, int], end: Channel) -> None:
    """One more process in a running container; `target` is (its init's pidfd, the kinds of namespaces to join)."""
    process.set_dumpable(False)
    process.reset_signals(handed.ignored_signals)
    freeze()
    for fd in handed.cgroup_fds:
        _step("cgroup", os.write, fd, b"0")
    if plan.oom_score_adj is not None:
        _set_oom_score(plan.oom_score_adj)
    if plan.apparmor_profile:
        _confine(plan.apparmor_profile)
    pidfd, kinds = target
    _step("namespaces", namespaces.setns, pidfd, kinds)
    if kinds & namespaces.NEWUSER:
        process.set_identity(0, 0, None)
    os.setsid()
    os.umask(0o022)
    master = slave = -1
    if plan.terminal:
        master, slave = _step("console", devices.open_console, mount.AT_FDCWD, -1)
        _size_console(plan, master)
    _finish(plan, handed, end, (master, slave), keyring_name="", makes_directory=False)


def _build_tree(plan: Plan, handed: Handed) -> rootfs.Root:
    _step("rootfs", rootfs.isolate, plan.root_propagation)
    root = _step("rootfs", rootfs.attach_root, handed.detached, plan.rootfs_mounts or (), plan.root_path)
    rootfs.apply_mounts(root, plan.mounts, handed.prepared.mounts)
    rootfs.write_sysctls(root, plan.sysctls)
    if plan.sets_up_dev and not handed.prepared.has_devices:
        previous = os.umask(0)
        _step("devices", devices.make_devices, root, plan.devices)
        os.umask(previous)
    _step("rootfs", rootfs.make_readonly, root, plan.readonly_paths)
    _step("rootfs", rootfs.mask, root, plan.masked_paths)
    return root


def _finish(
    plan: ProcessPlan,
    handed: Handed,
    end: Channel,
    console: tuple[int, int],
    *,
    keyring_name: str,
    makes_directory: bool,
) -> None:
    """The part that a first process and an exec'd one share: stdio, identity, look-up, the gate, execve."""
    master, slave = console
    _join_keyring(keyring_name)
    _set_stdio(plan, handed, slave)
    if identity.leaves_few_descriptors(plan.rlimits):
        _let_go(handed, {end.fileno(), master} if handed.gate is None else {end.fileno(), master, handed.gate.fileno()})
    _step("rlimits", identity.set_limits, plan.rlimits)
    identity.set_home(plan)
    inside = identity.enter_directory(plan.cwd, make=makes_directory)
    os.umask(plan.umask)
    _step("identity", identity.apply_identity, plan, handed.sets, handed.own_bounding, handed.program)
    if not inside and not identity.enter_directory(plan.cwd, make=False):
        raise Refusal("cwd", 13, f'chdir to cwd ("{plan.cwd}") set in config.json failed: permission denied')
    process.close_on_exec_from(3 + handed.preserved_fds)
    command = identity.find_command(plan)
    end.send(channel.READY, master if master >= 0 else None)
    if master >= 0:
        os.close(master)
    if handed.gate is not None:
        end.move_to(handed.gate)
    if not handed.goes_at_once and end.receive()[0] != channel.GO:
        os._exit(_FAILED)
    if handed.hooks is not None:
        handed.hooks.before_execve()
    try:
        os.execve(command, plan.argv, plan.environment)
    except OSError as error:
        raise Refusal("exec", error.errno or 0, f"exec {command}: {reason(error)}") from None


def _let_go(handed: Handed, kept: set[int]) -> None:
    """Closes what execve would: with a low limit there would be no number left for the files that are still to open."""
    first = 3 + handed.preserved_fds
    for fd in sorted(fd for fd in kept if fd >= first):
        process.close_between(first, fd)
        first = fd + 1
    process.close_from(first)


def _step(name: str, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Calls one step; a bare OSError out of it gets the step's name."""
    try:
        return function(*arguments, **named)
    except OSError as error:
        raise Refusal(name, error.errno or 0, f"unable to start container process: {name}: {reason(error)}") from None


def _size_console(plan: ProcessPlan, master: int) -> None:
    if plan.console_size is not None and any(plan.console_size):
        terminal.set_size(master, *plan.console_size)


def _join_keyring(name: str) -> None:
    if not name:
        return
    try:
        keyring.let_user_search(keyring.join_session(name))
    except OSError:
        return  # a kernel without keys, or a filter above us: then there is nothing to hide


def _set_oom_score(value: int) -> None:
    """Through the host's /proc, before the root switch; lowering it is for those with CAP_SYS_RESOURCE."""
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        if int(os.read(fd, 16)) != value:
            os.write(fd, str(value).encode())
    except PermissionError:
        return
    finally:
        os.close(fd)


def _confine(profile: str) -> None:
    """Has the kernel change to the AppArmor profile at execve; now, for the file is its opener's with these credentials."""
    path = "/proc/self/attr/apparmor/exec"
    try:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # before Linux 5.8 there was one file for all security modules
            path = "/proc/self/attr/exec"
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"exec " + profile.encode())
        finally:
            os.close(fd)
    except OSError as error:
        text = f"unable to apply apparmor profile: apparmor failed to apply profile: write {path}: {reason(error)}"
        raise Refusal("apparmor", error.errno or 0, f"unable to start container process: {text}") from None


def _set_stdio(plan: ProcessPlan, handed: Handed, slave: int) -> None:
    if slave >= 0:
        terminal.make_controlling(slave)
        sources: tuple[int, ...] = (slave, slave, slave)
    elif handed.stdio is not None:
        sources = handed.stdio
    else:
        return
    # Above the three targets first, so that no source is overwritten before it is used.
    copies = [os.dup(fd) if fd < 3 else fd for fd in sources]
    for target, fd in enumerate(copies):
        os.dup2(fd, target, inheritable=True)
    if plan.uid:
        _give_stdio(plan.uid)


def _give_stdio(uid: int) -> None:
    """The user may open its own /dev/stdout again (runc's fixStdioPermissions); not for the null device."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if status.st_uid == uid or status.st_rdev == rootfs.NULL_DEVICE:
            continue
        try:
            os.fchown(fd, uid, -1)
        except OSError:
            continue
