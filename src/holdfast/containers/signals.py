# SPDX-License-Identifier: Apache-2.0
"""Signals by Docker's names: `9`, `KILL`, `SIGKILL`, `RTMIN+3`. Pure; called by the jobs kill, stop, create.

Source: signal(7), moby/sys/signal.
"""

from __future__ import annotations

import signal

from holdfast.errors import InvalidArgument

_NAMES: dict[str, int] = {
    **{name.removeprefix("SIG"): member.value for name, member in signal.Signals.__members__.items()},
    "CLD": signal.SIGCHLD,
    "STKFLT": 16,
    "RTMIN": 34,
    "RTMAX": 64,
    **{f"RTMIN+{step}": 34 + step for step in range(1, 16)},
    **{f"RTMAX-{step}": 64 - step for step in range(1, 15)},
}


def parse(text: str) -> int:
    """The signal's number; InvalidArgument for a number out of 1-64 or a name that is none."""
    is_number = text.isascii() and text.isdigit()
    number = int(text[:9]) if is_number else _NAMES.get(text.upper().removeprefix("SIG"), 0)
    if is_number and number > 64:
        raise InvalidArgument(f"the linux daemon does not support signal {text}")
    if number < 1:
        raise InvalidArgument(f"invalid signal: {text}")
    return number
