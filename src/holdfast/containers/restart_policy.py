# SPDX-License-Identifier: Apache-2.0
"""When a container is started again, and after how long. Pure; called by the jobs reap and restore.

Source: moby 28 `restartmanager`: 100 ms, doubled up to a minute; from the start again after ten good seconds.
"""

from __future__ import annotations

from holdfast.containers.config import RestartPolicy

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 60.0
_GOOD_NANOS = 10_000_000_000


def wants_restart(policy: RestartPolicy, *, exit_code: int, count: int, was_stopped_by_user: bool) -> bool:
    """True when the policy starts the container again after this end; a stop by the user always ends it."""
    if was_stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    if policy.name == "on-failure":
        return exit_code != 0 and (policy.maximum_retry_count == 0 or count < policy.maximum_retry_count)
    return False


def wants_start_with_daemon(policy: RestartPolicy, *, exit_code: int, count: int, was_stopped_by_user: bool) -> bool:
    """True when a container that does not run is started because the daemon (or the host) starts.

    Only `always` forgets that the user has stopped it; dockerd forgets it of `on-failure`, too, against its manual.
    """
    if policy.name == "always":
        return True
    return wants_restart(policy, exit_code=exit_code, count=count, was_stopped_by_user=was_stopped_by_user)


def next_delay(fast_restarts: int, lifetime_nanos: int) -> tuple[float, int]:
    """Seconds to wait, and the new number of restarts in quick succession."""
    if lifetime_nanos >= _GOOD_NANOS:
        fast_restarts = 0
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(fast_restarts, 10)), fast_restarts + 1
