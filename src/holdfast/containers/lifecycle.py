# SPDX-License-Identifier: Apache-2.0
"""The life of a container as a table.

Rules of this file: a state is what Docker's `State.Status` says; an event is a fact that has happened, never a wish;
a pair that is not in the table cannot happen and is our bug. `die` is the end of the process whatever its cause;
`restart` is the fact that a policy will start the process again after a pause. A container that is being removed only
ends, as gone or (when something could not be removed) as dead. Called by the jobs of `engine`; pure.
Source: Engine API v1.51 ContainerState; the diagram in docs is made from TRANSITIONS.
"""

from __future__ import annotations

from holdfast.errors import Internal

CREATED, RUNNING, PAUSED, RESTARTING = "created", "running", "paused", "restarting"
REMOVING, EXITED, DEAD = "removing", "exited", "dead"

STATES: tuple[str, ...] = (CREATED, RUNNING, PAUSED, RESTARTING, REMOVING, EXITED, DEAD)

TRANSITIONS: dict[tuple[str, str], str] = {
    (CREATED, "start"): RUNNING,
    (CREATED, "fail"): CREATED,
    (CREATED, "remove"): REMOVING,
    (RUNNING, "pause"): PAUSED,
    (RUNNING, "die"): EXITED,
    (RUNNING, "restart"): RESTARTING,
    (PAUSED, "unpause"): RUNNING,
    (PAUSED, "die"): EXITED,
    (PAUSED, "restart"): RESTARTING,
    (RESTARTING, "start"): RUNNING,
    (RESTARTING, "fail"): EXITED,
    (RESTARTING, "stop"): EXITED,
    (RESTARTING, "remove"): REMOVING,
    (EXITED, "start"): RUNNING,
    (EXITED, "fail"): EXITED,
    (EXITED, "restart"): RESTARTING,
    (EXITED, "remove"): REMOVING,
    (DEAD, "remove"): REMOVING,
    (REMOVING, "fail"): DEAD,
}


def after(state: str, event: str) -> str:
    """The state that the event leads to; raises Internal when it cannot happen in this state."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise Internal(f"a container that is {state} cannot {event}") from None


def allows(state: str, event: str) -> bool:
    """Tells whether the event can happen in this state."""
    return (state, event) in TRANSITIONS
