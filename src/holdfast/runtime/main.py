# SPDX-License-Identifier: Apache-2.0
"""`hold-runc`: runc's command line on Holdfast's runtime, for podman, containerd and bundles by hand.

Reads the global flags, finds the verb's module in `runtime.commands`, and turns errors into runc's log line and exit code
(the command's own for run and exec, 255 when exec itself fails, else 1). Knows nothing of what the verbs do.
Source: runc(8), the OCI runtime command line interface.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.runtime import state
from holdfast.runtime.commands import context, flags
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ROOT = "/run/holdfast-runc"
VERSION = "0.1.0"
_VERBS = (
    *("create", "delete", "events", "exec", "features", "kill", "list", "pause"),
    *("ps", "resume", "run", "spec", "start", "state", "update"),
)
# podman and containerd look for the texts behind these
_PREFIXES = {"create": "create failed: ", "run": "run failed: ", "exec": "exec failed: "}
_NOT_BUILT = ("checkpoint", "restore")
_GLOBAL = {
    "debug": flags.SWITCH,
    "log": flags.VALUE,
    "log-format": flags.VALUE,
    "root": flags.VALUE,
    "criu": flags.VALUE,
    "systemd-cgroup": flags.SWITCH,
    "rootless": flags.VALUE,
    "h,help": flags.SWITCH,
    "v,version": flags.SWITCH,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = ""
    log = Log("", "text")
    try:
        given = flags.parse(_GLOBAL, words)
        log = Log(given.text("log"), given.text("log-format", "text"))
        if given.switch("version"):
            print(f"hold-runc version {VERSION}\nspec: {state.OCI_VERSION}")  # noqa: T201
            return 0
        if given.switch("help") or not given.arguments or given.arguments[0] in ("help", "h"):
            print(_help())  # noqa: T201
            return 0
        verb, *rest = given.arguments
        return _run(verb, rest, given)
    except HoldfastError as failure:
        log.error(_explain(verb, failure))
    except OSError as failure:
        log.error(f"{failure.filename or verb}: {os.strerror(failure.errno or 0).lower()}")
    except KeyboardInterrupt:
        return 130
    return 255 if verb == "exec" else 1


def _run(verb: str, words: Sequence[str], given: flags.Flags) -> int:
    if verb in _NOT_BUILT:
        raise InvalidArgument(f"{verb} is not supported by hold-runc")
    if verb not in _VERBS:
        raise InvalidArgument(f"No help topic for '{verb}'")
    command = importlib.import_module(f"holdfast.runtime.commands.{verb}")
    options = flags.parse({**command.FLAGS, "h,help": flags.SWITCH}, words)
    if options.switch("help"):
        print(_verb_help(verb, command.USAGE, command.FLAGS))  # noqa: T201
        return 0
    made = context.Context(
        state.Store(given.text("root", DEFAULT_ROOT)),
        is_systemd_form=given.switch("systemd-cgroup"),
        is_rootless=_is_rootless(given.text("rootless", "auto")),
    )
    code: int = command.run(made, options)
    return code


def _explain(verb: str, failure: HoldfastError) -> str:
    started = "unable to start container process: "
    is_bare = isinstance(failure, StartError) and not failure.message.startswith(started)
    return f"{_PREFIXES.get(verb, '')}{started if is_bare else ''}{failure.message}"


def _is_rootless(word: str) -> bool:
    if word not in ("auto", "true", "false"):
        raise InvalidArgument(f"invalid value {word!r} for flag -rootless: true, false or auto")
    return word == "true" or (word == "auto" and _is_in_user_namespace())


def _is_in_user_namespace() -> bool:
    if os.geteuid() != 0:
        return True
    with open("/proc/self/uid_map", encoding="ascii") as mapping:
        return mapping.read().split() != ["0", "0", "4294967295"]


class Log:
    """Where errors go: always stderr, and the --log file in runc's text or JSON form (podman reads that)."""

    __slots__ = ("_form", "_path")

    def __init__(self, path: str, form: str) -> None:
        if form not in ("text", "json"):
            raise InvalidArgument(f"invalid log-format: {form}")
        self._path = path
        self._form = form

    def error(self, message: str) -> None:
        """One line; a log file that cannot be written must not hide the error itself."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._form == "json":
            line = json.dumps({"level": "error", "msg": message, "time": now})
        else:
            line = f"time={json.dumps(now)} level=error msg={json.dumps(message)}"
        if self._path:
            try:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
            except OSError as problem:
                print(f"hold-runc: cannot write {self._path}: {problem.strerror}", file=sys.stderr)  # noqa: T201
        print(f"hold-runc: {message}", file=sys.stderr)  # noqa: T201


def _help() -> str:
    lines = ["NAME:", "   hold-runc - runs OCI bundles", "", "USAGE:"]
    lines += ["   hold-runc [global options] command [command options] [arguments...]", "", "COMMANDS:"]
    for verb in _VERBS:
        command = importlib.import_module(f"holdfast.runtime.commands.{verb}")
        lines.append(f"   {verb:<10}{(command.__doc__ or '').partition('`: ')[2].splitlines()[0]}")
    lines += ["", "GLOBAL OPTIONS:", *(_flag_line(names, kind) for names, kind in _GLOBAL.items())]
    return "\n".join(lines)


def _verb_help(verb: str, usage: str, table: flags.Table) -> str:
    lines = ["NAME:", f"   hold-runc {verb}", "", "USAGE:", f"   hold-runc {usage}"]
    if table:
        lines += ["", "OPTIONS:", *(_flag_line(names, kind) for names, kind in table.items())]
    return "\n".join(lines)


def _flag_line(names: str, kind: str) -> str:
    spelled = ", ".join(("-" if len(name) == 1 else "--") + name for name in reversed(names.split(",")))
    return f"   {spelled}{'' if kind == flags.SWITCH else ' value'}"


if __name__ == "__main__":
    sys.exit(main())
