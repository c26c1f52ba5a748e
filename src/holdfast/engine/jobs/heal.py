# SPDX-License-Identifier: Apache-2.0
"""What a container's label wants done when its health check fails: nothing (Docker's way), a restart, or a stop.

Reads the event log as a client would, so the checks know nothing of it. `heal_forever` is started by restore; the label is
judged by the job create. Source: moby issue 28400; Podman's `--health-on-failure` for the words.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from holdfast.engine.jobs.restart import restart
from holdfast.engine.jobs.stop import stop
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, InvalidArgument, NotModified

LABEL = "holdfast.health-on-failure"
ACTIONS = ("none", "restart", "stop")

_LOG = logging.getLogger("holdfast.engine")
_FAILURES = {"type": ["container"], "event": ["health_status: unhealthy"]}


def check(labels: Mapping[str, str] | None) -> None:
    """InvalidArgument for a label whose value is no action."""
    action = (labels or {}).get(LABEL, "none")
    if action not in ACTIONS:
        raise InvalidArgument(f"invalid label {LABEL}={action}: use one of {', '.join(ACTIONS)}")


async def heal_forever(packages: Packages) -> None:
    """Acts on each failure until it is cancelled; a slow stop of one container delays no other."""
    async for event in packages.events.subscribe(None, None, _FAILURES, is_own=True):
        action = event.attributes.get(LABEL, "none")
        if action != "none":
            packages.background.start(_act(packages, event.actor_id, action), f"{action} of {event.actor_id[:12]}")


async def _act(packages: Packages, container_id: str, action: str) -> None:
    _LOG.warning("container %s is unhealthy: %s", container_id[:12], action)
    try:
        await (restart if action == "restart" else stop)(packages=packages, reference=container_id)
    except NotModified:
        return
    except HoldfastError as error:
        _LOG.warning("%s of the unhealthy container %s failed: %s", action, container_id[:12], error.message)
