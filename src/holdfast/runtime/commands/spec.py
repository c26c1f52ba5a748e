# SPDX-License-Identifier: Apache-2.0
"""`hold-runc spec`: a config.json to begin with, that runs sh in ./rootfs."""

from __future__ import annotations

import json
import os

from holdfast.errors import AlreadyExists
from holdfast.runtime import defaults, state
from holdfast.runtime.commands import context, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "spec [command options]"
FLAGS = {"b,bundle": flags.VALUE, "rootless": flags.SWITCH}
_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")


def run(given: Context, options: Flags) -> int:
    """Writes config.json; refuses to overwrite one."""
    del given
    context.expect(options.arguments, "spec", exactly=0)
    path = os.path.join(options.text("bundle", "."), "config.json")
    text = json.dumps(template(is_rootless=options.switch("rootless")), indent="\t")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise AlreadyExists("File config.json exists. Remove it first") from None
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


def template(*, is_rootless: bool) -> dict[str, Any]:
    """The document; rootless: with a user namespace of one user, without network namespace and limits."""
    mounts = [
        {"destination": target, "type": kind, "source": source, "options": list(options)}
        for kind, source, target, options in defaults.MOUNTS
    ]
    linux: dict[str, Any] = {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": name} for name in _NAMESPACES],
        "maskedPaths": list(defaults.MASKED_PATHS),
        "readonlyPaths": list(defaults.READONLY_PATHS),
    }
    if is_rootless:
        linux = _make_rootless(linux)
        mounts = [_without_group(each) for each in mounts if each["type"] != "cgroup"]
    return {
        "ociVersion": state.OCI_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [f"PATH={defaults.PATH}", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(_CAPABILITIES) for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "hold-runc",
        "mounts": mounts,
        "linux": linux,
    }


def _make_rootless(linux: dict[str, Any]) -> dict[str, Any]:
    one_user = [{"containerID": 0, "hostID": 0, "size": 1}]
    uids, gids = ([{**one_user[0], "hostID": own}] for own in (os.geteuid(), os.getegid()))
    names = [name for name in _NAMESPACES if name != "network"]
    rest = {key: value for key, value in linux.items() if key not in ("resources", "namespaces")}
    return {
        "uidMappings": uids,
        "gidMappings": gids,
        "namespaces": [{"type": name} for name in (*names, "user")],
        **rest,
    }


def _without_group(mount: dict[str, Any]) -> dict[str, Any]:
    return {**mount, "options": [option for option in mount["options"] if not option.startswith("gid=")]}
