# SPDX-License-Identifier: Apache-2.0
"""`hold-runc state`: the OCI state of a container as JSON."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags, Table

USAGE = "state <container-id>"
FLAGS: Table = {}


def run(given: Context, options: Flags) -> int:
    """Prints the state."""
    print(json.dumps(given.load(options.arguments, "state").describe(), indent=2))  # noqa: T201  (a command's output)
    return 0
