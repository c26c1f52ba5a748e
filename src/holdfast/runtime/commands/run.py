# SPDX-License-Identifier: Apache-2.0
"""`hold-runc run`: create, start and, unless detached, wait and delete; exits as the container's command did."""

from __future__ import annotations

import os

from holdfast.errors import InvalidArgument
from holdfast.kernel import process
from holdfast.runtime.commands import console, context, create, destroy, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "run [command options] <container-id>"
FLAGS = {
    **create.SHARED,
    "d,detach": flags.SWITCH,
    "keep": flags.SWITCH,
    "no-subreaper": flags.SWITCH,
}


def run(given: Context, options: Flags) -> int:
    """Runs; the command's exit code, or 0 when detached."""
    context.expect(options.arguments, "run", exactly=1)
    is_detached = options.switch("detach")
    if is_detached and options.switch("keep"):
        raise InvalidArgument("--keep and --detach are mutually exclusive")
    if not is_detached and not options.switch("no-subreaper"):
        process.set_child_subreaper()
    made = create.create(given, options, is_detached=is_detached)
    try:
        create.start(made.record)
    except BaseException:
        destroy.kill_and_wait(made.record)
        _reap(made.pidfd)
        destroy.destroy(given, made.record)
        raise
    if is_detached:
        return 0
    with console.Foreground(made.pidfd, made.console_fd) as foreground:
        code = foreground.wait()
    if not options.switch("keep"):
        destroy.destroy(given, made.record)
    return code


def _reap(pidfd: int) -> None:
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except ChildProcessError:
        return
