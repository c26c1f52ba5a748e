# SPDX-License-Identifier: Apache-2.0
"""`--init`: a container's first process, which passes signals on and reaps, as an executable of about two kilobytes.

Called as `docker-init -- COMMAND ARG…`. It starts the command (looked up in PATH) in a process group of its own, forwards
every signal that it gets, reaps whatever becomes its child, and ends with the command's exit code, 128+n for a signal;
126 and 127 when the command cannot be executed. It allocates nothing, opens nothing and needs no file of the image.
Pure: `program` returns the bytes; the job start puts them where a container's mount finds them.
Source: tini's manual page, which is what dockerd installs as docker-init.
"""

from __future__ import annotations

import functools
import signal
import struct

from holdfast.errors import Unsupported
from holdfast.kernel import elf
from holdfast.runtime.machine_code import DIFFERENT, EQUAL, LESS, RESULT, A, Amd64, Arm64, B, C, D, E, F, G

TYPE_CHECKING = False
if TYPE_CHECKING:
    Machine = Amd64 | Arm64

# system call numbers of both machines, amd64 first
_WRITE = (1, 64)
_SIGACTION = (13, 134)
_SIGPROCMASK = (14, 135)
_IOCTL = (16, 29)
_GETPID = (39, 172)
_CLONE = (56, 220)
_EXECVE = (59, 221)
_WAIT4 = (61, 260)
_KILL = (62, 129)
_SETPGID = (109, 154)
_SIGTIMEDWAIT = (128, 137)
_EXIT_GROUP = (231, 94)

_SETMASK, _NO_HANG, _SET_FOREGROUND, _SET_BYTES = 2, 1, 0x5410, 8
_NOT_FOUND, _NOT_A_PROGRAM, _DENIED, _NOT_A_DIRECTORY, _TOO_LONG = -2, -8, -13, -20, -36

_OWN_SIGNALS = (
    *(signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
    *(signal.SIGTTIN, signal.SIGTTOU),
)
"""Those are not passed on: faults of the init itself, and what a process that is not in the foreground gets."""

# the frame: what the kernel writes, and the path that is tried
_STATUS, _PID, _REASON, _ENVIRONMENT, _REST, _PATH = 8, 16, 24, 32, 40, 64  # the mask that we found lies at 0
_PATH_LIMIT = 6000  # longer than any path that execve takes
_FRAME_BYTES = 16384

_COMMAND = 24
"""Where argv[2] is, counted from argc."""

_TEXTS = {
    "fatal": b"[FATAL docker-init] exec ",
    "not found reason": b" failed: No such file or directory\n",
    "denied reason": b" failed: Permission denied\n",
    "other reason": b" failed\n",
}


@functools.cache
def program(architecture: str) -> bytes:
    """The executable file for `amd64` or `arm64`; Unsupported for others."""
    if architecture == "amd64":
        return elf.executable(_assemble(Amd64()), architecture)
    if architecture == "arm64":
        return elf.executable(_assemble(Arm64()), architecture)
    raise Unsupported(f"there is no built-in init for {architecture}")


def _assemble(code: Machine) -> bytes:
    """A: argc and what follows; B: the frame; C: the command's pid, later its name."""
    code.begin(A, B, _FRAME_BYTES)
    code.load(RESULT, A, 0)
    code.jump_if(LESS, RESULT, 3, "failed")
    code.address(D, "forwarded")
    code.call(_SIGPROCMASK, (("value", _SETMASK), ("in", D), ("in", B), ("value", _SET_BYTES)))
    _set_action(code, "ignore")
    code.call(_CLONE, (("value", signal.SIGCHLD), ("value", 0), ("value", 0), ("value", 0), ("value", 0)))
    code.jump_if(EQUAL, RESULT, 0, "child")
    code.jump_if(LESS, RESULT, 0, "failed")
    code.copy(C, RESULT)
    _watch(code)
    _become_command(code)
    _search_path(code)
    _complain(code)
    _add_constants(code)
    return code.finish()


def _watch(code: Machine) -> None:
    """The init's life: wait for a signal, pass it on or reap; ends with the command."""
    code.label("watch")
    code.call(_SIGTIMEDWAIT, (("in", D), ("value", 0), ("value", 0), ("value", _SET_BYTES)))
    code.jump_if(LESS, RESULT, 1, "reap")
    code.jump_if(EQUAL, RESULT, signal.SIGCHLD, "reap")
    code.copy(E, RESULT)
    code.call(_KILL, (("in", C), ("in", E)))
    code.label("reap")
    code.copy(E, B)
    code.add(E, _STATUS)
    code.call(_WAIT4, (("value", -1), ("in", E), ("value", _NO_HANG), ("value", 0)))
    code.jump_if(LESS, RESULT, 1, "watch")
    code.jump_compared(DIFFERENT, RESULT, C, "reap")
    code.load(E, B, _STATUS)
    code.mask(E, 0x7F)
    code.jump_if(EQUAL, E, 0, "exited")
    code.add(E, 128)
    code.jump("end")
    code.label("exited")
    code.load(E, B, _STATUS)
    code.shift_right(E, 8)
    code.mask(E, 0xFF)
    code.label("end")
    code.call(_EXIT_GROUP, (("in", E),))
    code.label("failed")
    code.set(E, 1)
    code.jump("end")


def _become_command(code: Machine) -> None:
    """The child: its own group, in the foreground of the terminal if there is one, and everybody's signals again."""
    code.label("child")
    code.call(_SETPGID, (("value", 0), ("value", 0)))
    code.call(_GETPID, ())
    code.store(B, _PID, RESULT)
    code.copy(E, B)
    code.add(E, _PID)
    code.call(_IOCTL, (("value", 0), ("value", _SET_FOREGROUND), ("in", E)))
    _set_action(code, "default")
    code.call(_SIGPROCMASK, (("value", _SETMASK), ("in", B), ("value", 0), ("value", _SET_BYTES)))
    code.copy(D, A)
    code.add(D, 8)
    code.label("skip argument")
    code.load(RESULT, D, 0)
    code.add(D, 8)
    code.jump_if(DIFFERENT, RESULT, 0, "skip argument")
    code.store(B, _ENVIRONMENT, D)
    code.load(C, A, _COMMAND)
    code.copy(E, C)
    code.label("find slash")
    code.load_byte(RESULT, E)
    code.jump_if(EQUAL, RESULT, ord("/"), "as it is")
    code.add(E, 1)
    code.jump_if(DIFFERENT, RESULT, 0, "find slash")
    code.jump("find PATH")
    code.label("as it is")
    code.copy(F, C)
    _execute(code)
    code.store(B, _REASON, RESULT)
    code.jump("complain")


def _search_path(code: Machine) -> None:
    """E: where we read in PATH, F: the path that is tried, G: where we write in it."""
    code.label("find PATH")
    code.set(RESULT, _NOT_FOUND)
    code.store(B, _REASON, RESULT)
    code.label("entry")
    code.load(E, D, 0)
    code.add(D, 8)
    code.jump_if(EQUAL, E, 0, "no PATH")
    for place, letter in enumerate(b"PATH="):
        code.load_byte(RESULT, E, place)
        code.jump_if(DIFFERENT, RESULT, letter, "entry")
    code.add(E, 5)
    code.jump("directory")
    code.label("no PATH")
    code.address(E, "standard path")

    code.label("directory")
    code.copy(F, B)
    code.add(F, _PATH)
    code.copy(G, F)
    code.label("copy directory")
    code.load_byte(RESULT, E)
    code.jump_if(EQUAL, RESULT, 0, "directory ends")
    code.jump_if(EQUAL, RESULT, ord(":"), "directory ends")
    code.add(E, 1)
    _append(code, "copy directory")
    code.label("directory ends")
    code.store(B, _REST, E)
    code.jump_compared(EQUAL, F, G, "copy name")
    code.set(RESULT, ord("/"))
    code.store_byte(G, RESULT)
    code.add(G, 1)
    code.label("copy name")
    code.copy(E, C)
    code.label("copy letter")
    code.load_byte(RESULT, E)
    code.jump_if(EQUAL, RESULT, 0, "name ends")
    code.add(E, 1)
    _append(code, "copy letter")
    code.label("name ends")
    code.store_byte(G, RESULT)
    _execute(code)
    for reason in (_NOT_FOUND, _NOT_A_DIRECTORY, _TOO_LONG):
        code.jump_if(EQUAL, RESULT, reason, "next directory")
    code.store(B, _REASON, RESULT)
    code.jump_if(DIFFERENT, RESULT, _DENIED, "complain")
    code.label("next directory")
    code.load(E, B, _REST)
    code.load_byte(RESULT, E)
    code.add(E, 1)
    code.jump_if(EQUAL, RESULT, ord(":"), "directory")
    code.jump("complain")


def _append(code: Machine, again: str) -> None:
    """Puts RESULT at G while there is room; a path that is cut is still too long for execve."""
    code.copy(D, B)
    code.add(D, _PATH + _PATH_LIMIT)
    code.jump_compared(EQUAL, G, D, again)
    code.store_byte(G, RESULT)
    code.add(G, 1)
    code.jump(again)


def _execute(code: Machine) -> None:
    """execve of the path at F with what follows the command's name; what is no program is taken for a script."""
    code.copy(G, A)
    code.add(G, _COMMAND)
    code.load(D, B, _ENVIRONMENT)
    code.call(_EXECVE, (("in", F), ("in", G), ("in", D)))
    code.jump_if(EQUAL, RESULT, _NOT_A_PROGRAM, "script")


def _complain(code: Machine) -> None:
    """The shell for a script, as execvp(3) has it; then the reason why there is no command, and its exit code."""
    code.label("script")
    code.address(E, "shell")
    code.store(A, _COMMAND - 8, E)
    code.store(A, _COMMAND, F)
    code.copy(G, A)
    code.add(G, _COMMAND - 8)
    code.load(D, B, _ENVIRONMENT)
    code.call(_EXECVE, (("in", E), ("in", G), ("in", D)))
    code.store(B, _REASON, RESULT)
    code.label("complain")
    _write(code, "fatal")
    code.copy(E, C)
    code.label("find end")
    code.load_byte(RESULT, E)
    code.add(E, 1)
    code.jump_if(DIFFERENT, RESULT, 0, "find end")
    code.add(E, -1)
    code.subtract(E, C)
    code.call(_WRITE, (("value", 2), ("in", C), ("in", E)))
    code.load(F, B, _REASON)
    code.jump_if(EQUAL, F, _NOT_FOUND, "not found")
    code.jump_if(EQUAL, F, _DENIED, "denied")
    _write(code, "other reason")
    code.jump("failed")
    for name, exit_code in (("not found", 127), ("denied", 126)):
        code.label(name)
        _write(code, f"{name} reason")
        code.set(E, exit_code)
        code.jump("end")


def _set_action(code: Machine, name: str) -> None:
    """What a process in the background gets from its terminal must not stop us."""
    code.address(E, name)
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        code.call(_SIGACTION, (("value", number), ("in", E), ("value", 0), ("value", _SET_BYTES)))


def _write(code: Machine, name: str) -> None:
    code.address(E, name)
    code.call(_WRITE, (("value", 2), ("in", E), ("value", len(_TEXTS[name]))))


def _add_constants(code: Machine) -> None:
    own = sum(1 << (number - 1) for number in _OWN_SIGNALS)
    code.data("forwarded", struct.pack("<Q", ~own & (1 << 64) - 1))
    code.data("default", struct.pack("<QQQQ", signal.SIG_DFL, 0, 0, 0))
    code.data("ignore", struct.pack("<QQQQ", signal.SIG_IGN, 0, 0, 0))
    code.data("shell", b"/bin/sh\0")
    code.data("standard path", b"/bin:/usr/bin\0")
    for name, text in _TEXTS.items():
        code.data(name, text)
