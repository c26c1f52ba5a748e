# SPDX-License-Identifier: Apache-2.0
"""`docker logs`: what the container has said, and says. Called by `api.routes.containers`.

Source: Engine API v1.51 ContainerLogs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from holdfast.containers import Container
from holdfast.engine import log_target
from holdfast.engine.packages import Packages
from holdfast.logs import reader
from holdfast.logs.selection import Selection


def logs(
    *, packages: Packages, container: Container, selection: Selection, tail: int | None, follow: bool
) -> AsyncIterator[bytes]:
    """Pieces ready to send, framed unless the container has a terminal; Unsupported when nothing readable is kept."""
    path, form = log_target.readable(packages, container.record)
    return reader.stream(
        path,
        selection,
        form=form,
        framed=not container.record.config.tty,
        tail=tail,
        follow=follow and container.state.is_running,
        is_running=lambda: container.state.is_running,
    )
