# SPDX-License-Identifier: Apache-2.0
"""`hold-runc exec`: one more process in a running container; exits as that process did."""

from __future__ import annotations

import os

from holdfast.errors import Conflict, InvalidArgument
from holdfast.runtime import bundle, state
from holdfast.runtime import exec as runtime_exec
from holdfast.runtime.commands import console, context, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "exec [command options] <container-id> <command> [command options] || -p process.json <container-id>"
FLAGS = {
    "console-socket": flags.VALUE,
    "cwd": flags.VALUE,
    "e,env": flags.MANY,
    "t,tty": flags.SWITCH,
    "u,user": flags.VALUE,
    "g,additional-gids": flags.MANY,
    "p,process": flags.VALUE,
    "d,detach": flags.SWITCH,
    "pid-file": flags.VALUE,
    "process-label": flags.VALUE,
    "apparmor": flags.VALUE,
    "no-new-privs": flags.SWITCH,
    "c,cap": flags.MANY,
    "preserve-fds": flags.NUMBER,
    "cgroup": flags.MANY,
    "ignore-paused": flags.SWITCH,
}
_GIVEN_SETS = ("bounding", "effective", "permitted")


def run(given: Context, options: Flags) -> int:
    """Runs; 0 when detached, else the command's exit code."""
    context.expect(options.arguments, "exec", at_least=1)
    record = given.store.load(options.arguments[0])
    status = record.status()
    if status == "stopped":
        raise Conflict("cannot exec in a stopped container")
    if status == "paused" and not options.switch("ignore-paused"):
        raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
    process = _process(record.spec, options)
    is_detached = options.switch("detach")
    socket_path = options.text("console-socket") and os.path.abspath(options.text("console-socket"))
    console.check(has_terminal=bool(process.get("terminal")), is_detached=is_detached, socket_path=socket_path)
    made = _start(record, process, options)
    if made.console_fd is not None and socket_path:
        console.send(socket_path, made.console_fd)
    if options.text("pid-file"):
        state.write_atomically(os.path.abspath(options.text("pid-file")), str(made.pid))
    if is_detached:
        return 0
    with console.Foreground(made.pidfd, made.console_fd) as foreground:
        return foreground.wait()


def _start(record: state.Record, process: dict[str, Any], options: Flags) -> runtime_exec.ExecProcess:
    try:
        pidfd = record.open_pidfd()
    except ProcessLookupError:
        raise Conflict("cannot exec in a stopped container") from None
    try:
        return runtime_exec.exec_process(
            pid=record.pid,
            pidfd=pidfd,
            process=process,
            cgroup=record.cgroup(),
            stdio=None,
            seccomp=bundle.filter_program(record.spec),
            preserved_fds=options.number("preserve-fds") or 0,
        )
    finally:
        os.close(pidfd)


def _process(spec: dict[str, Any], options: Flags) -> dict[str, Any]:
    """The OCI process: from --process as it is, or the container's own with what the flags change."""
    words = options.arguments[1:]
    path = options.text("process")
    if path:
        try:
            return bundle.load_json(path)
        except OSError as problem:
            raise InvalidArgument(f"open {path}: {os.strerror(problem.errno or 0).lower()}") from problem
    if not words:
        raise InvalidArgument("process args cannot be empty")
    process: dict[str, Any] = {**spec["process"], "args": words, "terminal": options.switch("tty")}
    process["env"] = [*(process.get("env") or ()), *options.many("env")]
    process["cwd"] = options.text("cwd") or process.get("cwd") or "/"
    if options.text("user"):
        process["user"] = parse_user(options.text("user"))
    if options.many("additional-gids"):
        groups = [_number(word, "additional gid") for word in options.many("additional-gids")]
        process["user"] = {**(process.get("user") or {}), "additionalGids": groups}
    if options.switch("no-new-privs"):
        process["noNewPrivileges"] = True
    if options.many("cap"):
        held: dict[str, list[str]] = process.get("capabilities") or {}
        process["capabilities"] = {
            **held,
            **{each: [*held.get(each, ()), *options.many("cap")] for each in _GIVEN_SETS},
        }
    return process


def parse_user(text: str) -> dict[str, int]:
    """`UID` or `UID:GID`, numbers as in runc."""
    uid, colon, gid = text.partition(":")
    user = {"uid": _number(uid, "uid"), "gid": 0}
    if colon:
        user["gid"] = _number(gid, "gid")
    return user


def _number(word: str, what: str) -> int:
    if not word.isascii() or not word.isdigit() or int(word) >= 2**32 - 1:
        raise InvalidArgument(f"parsing {word!r} as int for {what} failed: invalid syntax")
    return int(word)
