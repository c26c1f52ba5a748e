# SPDX-License-Identifier: Apache-2.0
"""Starts the embedded daemon when no host was named and none listens yet.

Two callers at once start one daemon: a lock file beside the socket serialises them. The daemon is a plain `holdfastd` in a session
of its own; it outlives the caller. Nothing here stops it (`kill` it by its pid file, containers live on).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

from holdfast import errors
from holdfast.client.address import EMBEDDED_SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EXEC_ROOT = os.path.dirname(EMBEDDED_SOCKET)
DATA_ROOT = "/var/lib/holdfast"
LOG_FILE = "/var/log/holdfastd.log"
PID_FILE = EXEC_ROOT + "/holdfastd.pid"
_WAIT_SECONDS = 20.0


def daemon_command() -> list[str]:
    """The argument vector of the embedded daemon: this interpreter, this package, the default roots."""
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = (
        f"import sys; sys.path.insert(0, {package_root!r}); from holdfast.daemon.main import main; sys.exit(main())"
    )
    arguments = ["-H", f"unix://{EMBEDDED_SOCKET}", "--data-root", DATA_ROOT, "--exec-root", EXEC_ROOT]
    return [sys.executable, "-I", "-c", program, *arguments, "--pidfile", PID_FILE]


def ensure_started(answers: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Returns when the embedded daemon answers; raises Unavailable with the end of its log when it does not come up."""
    if os.geteuid() != 0:
        raise errors.Forbidden("only root can start the embedded daemon: use sudo, or name a running one with -H")
    os.makedirs(EXEC_ROOT, mode=0o700, exist_ok=True)
    lock_fd = os.open(EXEC_ROOT + "/start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        if answers():
            return
        say(f"hold: starting the embedded daemon (log: {LOG_FILE})")
        pid = _spawn_daemon()
        _wait_until_it_answers(pid, answers)
    finally:
        os.close(lock_fd)


def _spawn_daemon() -> int:
    command = daemon_command()
    log_fd = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    null_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            command[0],
            command,
            {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null_fd, 0),
                (os.POSIX_SPAWN_DUP2, log_fd, 1),
                (os.POSIX_SPAWN_DUP2, log_fd, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(log_fd)
        os.close(null_fd)


def _wait_until_it_answers(pid: int, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not answers():
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            raise errors.Unavailable(f"the embedded daemon ended with status {code}: {_log_tail()} (log: {LOG_FILE})")
        if time.monotonic() > deadline:
            raise errors.Unavailable(
                f"the embedded daemon does not answer after {_WAIT_SECONDS:.0f} s (log: {LOG_FILE})"
            )
        time.sleep(0.01)


def _log_tail() -> str:
    with open(LOG_FILE, "rb") as file:
        file.seek(max(0, os.path.getsize(LOG_FILE) - 400))
        return file.read().decode(errors="replace").strip().rpartition("\n")[2]
