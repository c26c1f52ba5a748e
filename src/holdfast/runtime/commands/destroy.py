# SPDX-License-Identifier: Apache-2.0
"""The end of a container, shared by `delete` and `run`; and the hooks that its maker runs after the start."""

from __future__ import annotations

import os
import select
import signal
import sys

from holdfast.errors import HoldfastError, Internal, Unavailable
from holdfast.runtime import hooks, state
from holdfast.runtime.channel import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context

_PATIENCE_MILLIS = 10_000


def told(record: state.Record) -> dict[str, Any]:
    """The part of the OCI state that every hook is told."""
    document: dict[str, Any] = {"ociVersion": state.OCI_VERSION, "id": record.container_id, "bundle": record.bundle}
    if record.spec.get("annotations"):
        document["annotations"] = record.spec["annotations"]
    return document


def run_hooks(record: state.Record, name: str, status: str) -> None:
    """Runs poststart or poststop; Internal when one fails."""
    pid = record.pid if status == "running" else 0
    try:
        hooks.Hooks(record.spec.get("hooks"), told(record)).run(name, status, pid)
    except Refusal as refusal:
        raise Internal(refusal.text) from None


def kill_and_wait(record: state.Record) -> None:
    """SIGKILL for the init; returns when it has ended, Unavailable after ten seconds."""
    try:
        pidfd = record.open_pidfd()
    except ProcessLookupError:
        return
    try:
        cgroup = record.cgroup()
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if cgroup is not None and cgroup.is_frozen():
            cgroup.thaw()
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(_PATIENCE_MILLIS):
            raise Unavailable("container init still running")
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def destroy(given: Context, record: state.Record) -> None:
    """Removes cgroup and state of a stopped container, then runs poststop hooks (a failing one is only warned of)."""
    cgroup = record.cgroup()
    if cgroup is not None and cgroup.exists():
        cgroup.kill()
        cgroup.remove()
    given.store.forget(record.container_id)
    try:
        run_hooks(record, "poststop", "stopped")
    except HoldfastError as failure:
        print(f"hold-runc: warning: {failure.message}", file=sys.stderr)  # noqa: T201  (a command's own output)
