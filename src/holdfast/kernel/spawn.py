# SPDX-License-Identifier: Apache-2.0
"""Starts the spawner on a sealed interpreter: a Python that nothing inside a container can write to.

A runtime that enters a container can be reached there as /proc/PID/exe, and through it the host's binary overwritten
(CVE-2019-5736). So the interpreter's prefix (stub, libpython, standard library) is cloned as a detached read-only mount
and executed from there; the kernel refuses to open any of it for writing, for root too, and the host's own mounts are
not touched. It works with any build whose files lie below its prefix: pyenv, Debian's python3, both within a venv.

Use: `pid, pidfd = spawn("holdfast.shim.spawner", fds, environment)`. The module's `main()` is called in a fresh
`python -I -S` whose sys.path is the standard library and the folder that holds `holdfast`; `fds[i]` is descriptor
3 + i there, inheritable no more; 0, 1, 2 are the caller's. Nothing else is open. All other descriptors of the caller
become close-on-exec. Called once per daemon. Source: open_tree(2), mount_setattr(2), posix_spawn(3), ld.so(8).
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import sysconfig
from collections.abc import Mapping, Sequence

from holdfast.kernel import mount, process

_FIRST_FD = 3
_ABOVE_TARGETS = 100
_BOOT = (
    "import sys, os; os.environ.pop('LD_LIBRARY_PATH', None); "
    "[os.set_inheritable(fd, False) for fd in range(3, int(sys.argv.pop(1)) + 1)]; "
    "sys.path.append(sys.argv.pop(1)); "
    "from importlib import import_module; "
    "import_module(sys.argv.pop(1)).main()"
)


class Interpreter:
    """A Python to execute: the tree that holds it (-1: the host's own file system), and names relative to it."""

    __slots__ = ("executable", "libraries", "tree_fd")

    def __init__(self, tree_fd: int, executable: str, libraries: tuple[str, ...]) -> None:
        self.tree_fd = tree_fd
        self.executable = executable
        self.libraries = libraries

    @property
    def is_sealed(self) -> bool:
        """Whether its files are out of reach for writers."""
        return self.tree_fd >= 0

    def close(self) -> None:
        """Lets go of the tree; processes that run from it keep it alive."""
        if self.tree_fd >= 0:
            os.close(self.tree_fd)
            self.tree_fd = -1


def sealed_interpreter() -> Interpreter:
    """Clones the running interpreter's prefix read-only; three system calls.

    Without the right to (no CAP_SYS_ADMIN) or with an executable outside its prefix the host's files are used as they
    are and `is_sealed` is false; the runtime's other defence, PR_SET_DUMPABLE 0, holds all the same.
    """
    prefix = os.path.realpath(sys.base_prefix)
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    below = os.path.relpath(executable, prefix)
    libraries = tuple(
        os.path.relpath(directory, prefix)
        for directory in _library_directories(prefix)
        if directory.startswith(prefix + "/")
    )
    if below.startswith("../"):
        return Interpreter(-1, executable, ())
    try:
        tree_fd = mount.clone(prefix)
        mount.set_attributes(tree_fd, add=mount.ATTR_RDONLY | mount.ATTR_NODEV)
    except PermissionError:
        return Interpreter(-1, executable, ())
    return Interpreter(tree_fd, below, libraries)


def spawn(
    module: str,
    fds: Sequence[int],
    environment: Mapping[str, str] | None = None,
    *,
    interpreter: Interpreter | None = None,
) -> tuple[int, int]:
    """Runs `module`'s main() in a sealed interpreter; returns (pid, pidfd), the pidfd close-on-exec.

    `environment` is the whole environment (default: the caller's). Without an interpreter one is sealed for this call.
    """
    sealed = interpreter or sealed_interpreter()
    process.close_on_exec_from(_FIRST_FD)
    handed = [*fds, sealed.tree_fd] if sealed.is_sealed else list(fds)
    last = _FIRST_FD + len(handed) - 1
    variables = dict(os.environ if environment is None else environment)
    executable = sealed.executable
    if sealed.is_sealed:
        # ld.so prefers LD_LIBRARY_PATH to the RUNPATH of the stub, which names the host's libpython
        variables["LD_LIBRARY_PATH"] = ":".join(f"/proc/self/fd/{last}/{each}" for each in sealed.libraries)
        executable = f"/proc/self/fd/{last}/{executable}"
    raised: list[int] = []
    actions: list[tuple[int, int, int]] = []
    try:
        for place, fd in enumerate(handed):
            raised.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_TARGETS))
            actions.append((os.POSIX_SPAWN_DUP2, raised[-1], _FIRST_FD + place))
        pid = os.posix_spawn(
            executable,
            [executable, "-I", "-S", "-c", _BOOT, str(last), _package_directory(), module],
            variables,
            file_actions=actions,
            setsigmask=(),
            setsigdef=[number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)],
        )
    finally:
        for fd in raised:
            os.close(fd)
        if interpreter is None:
            sealed.close()
    return pid, os.pidfd_open(pid)


def _library_directories(prefix: str) -> tuple[str, ...]:
    multiarch: str = sysconfig.get_config_var("MULTIARCH") or ""
    wanted = [str(sysconfig.get_config_var("LIBDIR") or ""), f"{prefix}/lib", f"{prefix}/lib/{multiarch}"]
    return tuple(dict.fromkeys(os.path.realpath(each) for each in wanted if each and os.path.isdir(each)))


def _package_directory() -> str:
    """The folder that holds the `holdfast` package."""
    here = os.path.abspath(__file__)
    for _ in range(3):
        here = os.path.dirname(here)
    return here
