# SPDX-License-Identifier: Apache-2.0
"""What a registry has under a name, without pulling it. Called by `api.routes.registries`.

Source: Engine API v1.51 DistributionInspect.
"""

from __future__ import annotations

import asyncio

from holdfast.distribution import Credentials, Puller
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference


async def inspect_distribution(
    *, puller: Puller, reference: Reference, credentials: Credentials
) -> tuple[Descriptor, list[Platform]]:
    """The descriptor of the manifest or index, and the platforms that it offers."""
    return await asyncio.wrap_future(puller.start(lambda: puller.describe(reference, credentials=credentials)))
