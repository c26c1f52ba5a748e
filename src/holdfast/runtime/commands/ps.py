# SPDX-License-Identifier: Apache-2.0
"""`hold-runc ps`: the container's processes, as numbers (json) or as the host's ps(1) shows them."""

from __future__ import annotations

import json
import subprocess

from holdfast.errors import InvalidArgument, NotFound
from holdfast.runtime.commands import context, flags, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "ps [command options] <container-id> [ps options]"
FLAGS = {"f,format": flags.VALUE}


def run(given: Context, options: Flags) -> int:
    """Prints; table unless --format json."""
    context.expect(options.arguments, "ps", at_least=1)
    wanted = options.text("format", "table")
    if wanted not in ("table", "json"):
        raise InvalidArgument("invalid format option")
    pids = pause.cgroup_of(given.store.load(options.arguments[0])).pids()
    if wanted == "json":
        print(json.dumps(pids, separators=(",", ":")))  # noqa: T201  (a command's output)
        return 0
    for line in select_lines(_host_ps(options.arguments[1:] or ["-ef"]), set(pids)):
        print(line)  # noqa: T201  (a command's output)
    return 0


def select_lines(output: str, pids: set[int]) -> list[str]:
    """The head line of ps, and the lines whose PID column is one of `pids`."""
    lines = output.splitlines()
    head = lines[0].split() if lines else []
    if "PID" not in head:
        raise InvalidArgument("couldn't find PID field in ps output")
    place = head.index("PID")
    chosen = [lines[0]]
    for line in lines[1:]:
        words = line.split()
        if len(words) > place and words[place].isdigit() and int(words[place]) in pids:
            chosen.append(line)
    return chosen


def _host_ps(arguments: list[str]) -> str:
    try:
        done = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotFound("ps is not installed on this host: use --format json") from None
    if done.returncode:
        raise InvalidArgument(f"ps: {done.stderr.strip()}")
    return done.stdout
