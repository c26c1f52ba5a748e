# SPDX-License-Identifier: Apache-2.0
"""The flags that `stop` and `restart` share, and the query they become."""

from __future__ import annotations

from holdfast.cli.flags import Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = (
    Flag("signal", "s", "string", "Signal to send to the container"),
    Flag("timeout", "t", "int", "Seconds to wait before killing the container"),
    Flag("time", "", "int", "Seconds to wait before killing the container (old name of --timeout)"),
)


def query(values: Values) -> dict[str, Any]:
    """`t` only when it was given: the container's own timeout counts otherwise."""
    given = next((values[name] for name in ("timeout", "time") if values.was_set(name)), None)
    return {"t": given, "signal": values["signal"] or None}
