# SPDX-License-Identifier: Apache-2.0
"""`hold info`: the state of the daemon and its host."""

from __future__ import annotations

from holdfast.cli import table, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (Flag("format", "f", "string", "Format output using a custom template: 'json' or TEMPLATE"),)
_LINES = (
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Data Root Dir", "DockerRootDir"),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the facts a person asks for first; `--format json` gives all of them."""
    info: dict[str, Any] = session.api.call("GET", "/info")
    if values["format"]:
        from holdfast.cli.commands.inspect import rendered

        print(rendered(info, values["format"]))
        return 0
    counts = {
        "Containers": info["Containers"],
        "  Running": info["ContainersRunning"],
        "  Paused": info["ContainersPaused"],
        "  Stopped": info["ContainersStopped"],
        "Images": info["Images"],
    }
    print("Server:")
    for label, value in counts.items():
        print(f" {label}: {value}")
    for label, key in _LINES:
        if info.get(key) not in (None, ""):
            print(f" {label}: {table.printable(str(info[key]))}")
    print(f" Total Memory: {units.human_size(info['MemTotal'])}")
    print(f" Runtimes: {' '.join(sorted(info.get('Runtimes') or ()))}")
    print(f" Security Options: {' '.join(info.get('SecurityOptions') or ())}")
    for warning in info.get("Warnings") or ():
        session.say(warning)
    return 0


COMMAND = Command("info", "info [OPTIONS]", "Display system-wide information", run, _FLAGS, maximum=0)
