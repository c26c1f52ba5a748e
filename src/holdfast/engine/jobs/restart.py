# SPDX-License-Identifier: Apache-2.0
"""`docker restart`: stop if it runs, then start. Called by `api.routes.containers`."""

from __future__ import annotations

from holdfast.containers import signals
from holdfast.engine.jobs.start import start
from holdfast.engine.jobs.stop import end_process
from holdfast.engine.packages import Packages
from holdfast.errors import NotModified


async def restart(*, packages: Packages, reference: str, signal_text: str = "", seconds: int | None = None) -> None:
    """Restarts the process; neither `--rm` nor a restart policy takes notice of the stop."""
    container = packages.containers.find(reference)
    number = signals.parse(signal_text) if signal_text else 0
    container.restarts_by_user += 1
    try:
        if container.state.is_running:
            await end_process(packages, container, number, seconds)
            packages.events.publish("container", "stop", container.id, container.attributes())
        try:
            await start(packages=packages, reference=container.id)
        except NotModified:
            return
    finally:
        container.restarts_by_user -= 1
    packages.events.publish("container", "restart", container.id, container.attributes())
