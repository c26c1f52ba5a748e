# SPDX-License-Identifier: Apache-2.0
"""`hold-runc features`: what this runtime can do, as the OCI features document.

Source: OCI runtime-spec v1.2 §features.
"""

from __future__ import annotations

import json

from holdfast.kernel import capabilities, namespaces
from holdfast.runtime import seccomp
from holdfast.runtime.commands import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags, Table

USAGE = "features"
FLAGS: Table = {}
_HOOKS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def run(given: Context, options: Flags) -> int:
    """Prints the document."""
    del given
    context.expect(options.arguments, "features", exactly=0)
    print(json.dumps(describe(), indent=4))  # noqa: T201  (a command's output)
    return 0


def describe() -> dict[str, Any]:
    """The features document."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": _HOOKS,
        "linux": {
            "namespaces": sorted(namespaces.FLAGS),
            "capabilities": list(capabilities.BITS),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": list(seccomp.ACTIONS),
                "operators": [f"SCMP_CMP_{word}" for word in seccomp.OPERATORS],
                "archs": list(seccomp.ARCHITECTURES),
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
        },
    }
