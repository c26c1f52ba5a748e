# SPDX-License-Identifier: Apache-2.0
"""`docker login`: whether a registry knows a user. Nothing is kept. Called by `api.routes.registries`.

Source: Engine API v1.51 SystemAuth.
"""

from __future__ import annotations

import asyncio

from holdfast.distribution import Credentials, Puller


async def authenticate(*, puller: Puller, credentials: Credentials) -> None:
    """Returns when the registry accepts the credentials; Unauthenticated, Unavailable."""
    await asyncio.wrap_future(puller.start(lambda: puller.log_in(credentials)))
