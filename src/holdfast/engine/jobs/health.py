# SPDX-License-Identifier: Apache-2.0
"""Health checks: a task per running container that has one, which execs its test and counts.

Called by the jobs start, reap and restore. Source: moby 28 `daemon/health.go`.
"""

from __future__ import annotations

import asyncio

from holdfast.containers import Container

_ENDS: dict[str, asyncio.Event] = {}


def stop(container: Container) -> None:
    """Ends the checks; idempotent."""
    task, container.health_task = container.health_task, None
    if task is not None:
        task.cancel()


def exec_ended(exec_id: str) -> None:
    """Tells a waiting probe that its exec has ended."""
    event = _ENDS.get(exec_id)
    if event is not None:
        event.set()
