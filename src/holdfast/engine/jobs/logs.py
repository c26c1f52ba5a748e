# SPDX-License-Identifier: Apache-2.0
"""`docker logs`: what the container has said, and says. Called by `api.routes.containers`.

Source: Engine API v1.51 ContainerLogs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from holdfast.containers import Container
from holdfast.errors import Unsupported
from holdfast.logs import factory, reader
from holdfast.logs.entries import Selection


def logs(*, container: Container, selection: Selection, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
    """Pieces ready to send, framed unless the container has a terminal; Unsupported for drivers that only write."""
    if container.record.host_config.log_config.type not in factory.READABLE:
        raise Unsupported("configured logging driver does not support reading")
    return reader.stream(
        container.record.log_path or "/nonexistent/log",
        selection,
        framed=not container.record.config.tty,
        tail=tail,
        follow=follow and container.state.is_running,
        is_running=lambda: container.state.is_running,
    )
