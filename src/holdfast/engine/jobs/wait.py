# SPDX-License-Identifier: Apache-2.0
"""`docker wait`: the next end of a container, or its removal. Called by `api.routes.containers`.

Source: Engine API v1.51 ContainerWait.
"""

from __future__ import annotations

import asyncio

from holdfast.containers import Container, Containers
from holdfast.errors import InvalidArgument

CONDITIONS = ("not-running", "next-exit", "removed")


def wait(*, containers: Containers, reference: str, condition: str = "") -> asyncio.Future[tuple[int, str]]:
    """A future of (exit code, error text), registered before this returns; cancel it when nobody waits any more."""
    if condition and condition not in CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    container = containers.find(reference)
    if condition == "removed":
        return container.expect_removal()
    if condition == "next-exit" or container.state.is_running:
        return container.expect_exit()
    return _already(container)


def _already(container: Container) -> asyncio.Future[tuple[int, str]]:
    future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
    future.set_result((container.state.exit_code, container.state.error))
    return future
