# SPDX-License-Identifier: Apache-2.0
"""`hold-runc kill`: a signal for a container's init, with --all for everything in its cgroup."""

from __future__ import annotations

import os
import signal

from holdfast.errors import Conflict, InvalidArgument
from holdfast.runtime import bundle
from holdfast.runtime.commands import context, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags
    from holdfast.runtime.state import Record

USAGE = "kill [command options] <container-id> [signal]"
FLAGS = {"a,all": flags.SWITCH}


def run(given: Context, options: Flags) -> int:
    """Sends; SIGTERM unless named."""
    context.expect(options.arguments, "kill", at_least=1)
    context.expect(options.arguments, "kill", at_most=2)
    number = parse_signal(options.arguments[1] if len(options.arguments) > 1 else "SIGTERM")
    record = given.store.load(options.arguments[0])
    if options.switch("all"):
        _signal_all(record, number)
        return 0
    try:
        pidfd = record.open_pidfd()
    except ProcessLookupError:
        raise Conflict("container not running") from None
    try:
        signal.pidfd_send_signal(pidfd, number)
        cgroup = record.cgroup()
        if number == signal.SIGKILL and cgroup is not None and cgroup.is_frozen():
            cgroup.thaw()
        if number == signal.SIGKILL and not _has_own_pids(record):
            _signal_all(record, number)
    except ProcessLookupError:
        raise Conflict("container not running") from None
    finally:
        os.close(pidfd)
    return 0


def parse_signal(word: str) -> int:
    """A number or a name with or without SIG, in any case."""
    if word.isdigit() and 0 < int(word) < signal.NSIG:
        return int(word)
    try:
        return signal.Signals["SIG" + word.upper().removeprefix("SIG")]
    except KeyError:
        raise InvalidArgument(f"unknown signal {word!r}") from None


def _signal_all(record: Record, number: int) -> None:
    cgroup = record.cgroup()
    if cgroup is None or not cgroup.exists():
        return
    if number == signal.SIGKILL:
        cgroup.kill()
        return
    for pid in cgroup.pids():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _has_own_pids(record: Record) -> bool:
    """With a pid namespace of its own, everything dies with the init."""
    namespaces: list[dict[str, str]] = bundle.section(record.spec, "linux").get("namespaces") or []
    return any(each.get("type") == "pid" and not each.get("path") for each in namespaces)
