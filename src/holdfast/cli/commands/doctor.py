# SPDX-License-Identifier: Apache-2.0
"""`hold doctor`: becomes the doctor's own program, which looks at this machine and at what its daemon keeps."""

from __future__ import annotations

import os
import sys

from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_OWN = (
    Flag("json", "", "bool", "Print a JSON array of findings"),
    Flag("verify", "", "bool", "Read every stored blob and compare it with its digest"),
)
_DAEMONS = (
    Flag("cgroup-parent", "", "string", "Parent cgroup of the daemon's containers", placeholder="path"),
    Flag("config-file", "", "string", "The daemon's configuration file", placeholder="file"),
    Flag("data-root", "", "string", "The daemon's data root", placeholder="folder"),
    Flag("exec-root", "", "string", "The daemon's exec root", placeholder="folder"),
    Flag("storage-driver", "", "string", "The daemon's storage driver", placeholder="name"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Replaces this process; never returns. The socket that commands use is looked at, too, where it is a local one."""
    argv = [sys.executable, "-m", "holdfast.daemon.doctor.main"]
    argv += [f"--{flag.name}" for flag in _OWN if values[flag.name]]
    argv += [f"--{flag.name}={values[flag.name]}" for flag in _DAEMONS if values[flag.name]]
    endpoint = session.endpoint
    if endpoint.scheme == "unix" and not endpoint.is_embedded:
        argv.append(f"--socket={endpoint.address}")
    sys.stdout.flush()
    os.execv(sys.executable, argv)


COMMAND = Command(
    "doctor",
    "doctor [OPTIONS]",
    "Look at this machine and its daemon's files, and say what is wrong",
    run,
    (*_OWN, *_DAEMONS),
    maximum=0,
)
