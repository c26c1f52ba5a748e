# SPDX-License-Identifier: Apache-2.0
"""Processes: clone3 with a pidfd, and what a process says about itself before it runs somebody else's code.

Called by the runtime, the shim and its spawner, all single-threaded; the child of `clone3` is a plain copy that may run
Python. Nothing here waits. Source: clone3(2), prctl(2), close_range(2), prlimit(2), setresuid(2), signal(7).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Sequence

from holdfast.kernel import syscalls

CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_CLEAR_SIGHAND = 0x100000000
CLONE_INTO_CGROUP = 0x200000000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLOSE_RANGE_CLOEXEC = 4
_LAST_FD = 0xFFFFFFFF
INFINITY = 0xFFFFFFFFFFFFFFFF

RLIMITS: dict[str, int] = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}

# PyDLL keeps the interpreter's lock over the call: the child must be born holding it
_clone3 = ctypes.PyDLL(None, use_errno=True).syscall
_clone3.restype = ctypes.c_long
_clone3.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]


def clone3(flags: int = 0, *, cgroup_fd: int | None = None, exit_signal: int = signal.SIGCHLD) -> tuple[int, int]:
    """Makes a child in the new namespaces of `flags`; returns (pid, pidfd), and (0, -1) in the child.

    With `cgroup_fd` (a v2 directory) the child is born in that cgroup. The pidfd is close-on-exec. The child has none of
    the caller's signal handlers: one of them would write into the caller's wake-up descriptor.
    """
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD | CLONE_CLEAR_SIGHAND
    if cgroup_fd is not None:
        flags |= CLONE_INTO_CGROUP
    arguments = struct.pack(
        "11Q", flags, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, 0 if cgroup_fd is None else cgroup_fd
    )
    pid: int = _clone3(syscalls.CLONE3, arguments, len(arguments))
    if pid == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return pid, (pidfd.value if pid else -1)


def set_dumpable(value: bool) -> None:
    """False hides the process's memory, exe and fds from everybody without CAP_SYS_PTRACE; execve undoes it."""
    syscalls.call(syscalls.PRCTL, _PR_SET_DUMPABLE, int(value))


def set_keep_capabilities(value: bool) -> None:
    """Whether permitted capabilities outlive the change from uid 0 to another."""
    syscalls.call(syscalls.PRCTL, _PR_SET_KEEPCAPS, int(value))


def set_no_new_privileges() -> None:
    """execve grants nothing from here on; there is no way back."""
    syscalls.call(syscalls.PRCTL, _PR_SET_NO_NEW_PRIVS, 1)


def set_child_subreaper() -> None:
    """Orphans below this process become its children."""
    syscalls.call(syscalls.PRCTL, _PR_SET_CHILD_SUBREAPER, 1)


def set_parent_death_signal(number: int) -> None:
    """The signal that this process gets when the thread that made it ends; 0 for none."""
    syscalls.call(syscalls.PRCTL, _PR_SET_PDEATHSIG, number)


def set_name(name: str) -> None:
    """The name in ps and /proc/PID/comm; 15 bytes of it are kept."""
    syscalls.call(syscalls.PRCTL, _PR_SET_NAME, os.fsencode(name)[:15] + b"\0")


def close_on_exec_from(first: int) -> None:
    """Marks every descriptor from `first` on close-on-exec, in one call."""
    syscalls.call(syscalls.CLOSE_RANGE, first, _LAST_FD, _CLOSE_RANGE_CLOEXEC)


def close_between(first: int, end: int) -> None:
    """Closes every descriptor from `first` on and below `end`, in one call."""
    if first < end:
        syscalls.call(syscalls.CLOSE_RANGE, first, end - 1, 0)


def close_from(first: int) -> None:
    """Closes every descriptor from `first` on, in one call."""
    syscalls.call(syscalls.CLOSE_RANGE, first, _LAST_FD, 0)


def read_status() -> tuple[int, int]:
    """This process's (ignored signals, capability bounding set) as masks, by one read of /proc/self/status."""
    fd = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.read(fd, 8192)
    finally:
        os.close(fd)
    return _status_mask(status, b"\nSigIgn:\t"), _status_mask(status, b"\nCapBnd:\t")


def _status_mask(status: bytes, label: bytes) -> int:
    start = status.index(label) + len(label)
    return int(status[start : status.index(b"\n", start)], 16)


def reset_signals(ignored: int) -> None:
    """Gives the signals of the mask `ignored` (which execve would hand on) their default action and blocks none.

    Raw calls on a struct sigaction of zeros: the signal module's enums cost a forked child 0.15 ms of page faults.
    """
    number = 1
    while ignored:
        if ignored & 1:
            syscalls.call(syscalls.RT_SIGACTION, number, bytes(32), None, 8)
        ignored >>= 1
        number += 1
    syscalls.call(syscalls.RT_SIGPROCMASK, signal.SIG_SETMASK, bytes(8), None, 8)


def get_limit(resource: int) -> tuple[int, int]:
    """This process's (soft, hard) limit."""
    old = ctypes.create_string_buffer(16)
    syscalls.call(syscalls.PRLIMIT64, 0, resource, None, old)
    soft, hard = struct.unpack("QQ", old.raw)
    return soft, hard


def set_limit(resource: int, soft: int, hard: int) -> None:
    """Sets this process's limit; raising the hard one needs CAP_SYS_RESOURCE."""
    syscalls.call(syscalls.PRLIMIT64, 0, resource, struct.pack("QQ", soft, hard), None)


def set_identity(uid: int, gid: int, groups: Sequence[int] | None) -> None:
    """Supplementary groups, then group, then user, real, effective and saved; None leaves the groups alone.

    Raw calls: glibc's wrappers would look for threads that a cloned child does not have.
    """
    if groups is not None:
        syscalls.call(syscalls.SETGROUPS, len(groups), struct.pack(f"{len(groups)}I", *groups) or None)
    syscalls.call(syscalls.SETRESGID, gid, gid, gid)
    syscalls.call(syscalls.SETRESUID, uid, uid, uid)
