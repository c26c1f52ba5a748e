# SPDX-License-Identifier: Apache-2.0
"""The words of `docker ps` about a state: "Up 2 minutes (healthy)", "Exited (0) 3 seconds ago". Pure.

Called by `api.schema.containers`. Source: moby `container/state.go`, go-units `HumanDuration`.
"""

from __future__ import annotations

from holdfast.containers.record import State

_SECOND = 1_000_000_000


def text(state: State, now_nanos: int, is_removing: bool = False) -> str:
    """The STATUS column."""
    if state.status in ("running", "paused"):
        up = f"Up {human_duration(now_nanos - state.started_nanos)}"
        if state.status == "paused":
            return f"{up} (Paused)"
        if state.health is None:
            return up
        word = "health: starting" if state.health.status == "starting" else state.health.status
        return f"{up} ({word})"
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {human_duration(now_nanos - state.finished_nanos)} ago"
    if is_removing or state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if not state.started_nanos:
        return "Created"
    if not state.finished_nanos:
        return ""
    return f"Exited ({state.exit_code}) {human_duration(now_nanos - state.finished_nanos)} ago"


def human_duration(nanos: int) -> str:
    """About how long, as Docker says it."""
    seconds = max(0, nanos) // _SECOND
    minutes, hours = seconds // 60, round(seconds / 3600)
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    return _many_hours(seconds // 3600, hours)


def _many_hours(whole: int, rounded: int) -> str:
    if rounded == 1:
        return "About an hour"
    if rounded < 48:
        return f"{rounded} hours"
    if whole < 24 * 7 * 2:
        return f"{rounded // 24} days"
    if whole < 24 * 30 * 2:
        return f"{rounded // 24 // 7} weeks"
    if whole < 24 * 365 * 2:
        return f"{rounded // 24 // 30} months"
    return f"{whole // 24 // 365} years"
