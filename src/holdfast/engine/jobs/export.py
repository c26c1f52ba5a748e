# SPDX-License-Identifier: Apache-2.0
"""`docker export`: all files of a container as one tar, without its volumes. Called by `api.routes.container_archives`.

The lock is held as in the job archive. Source: Engine API v1.51 ContainerExport.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

from holdfast.containers import Container
from holdfast.engine import container_files, streams
from holdfast.engine.occupation import occupied
from holdfast.engine.packages import Packages
from holdfast.engine.streams import Pipe, Started
from holdfast.kernel import paths
from holdfast.snapshots import diff


async def export(*, packages: Packages, reference: str) -> Started:
    """The tar; errors are raised before its first byte."""
    container = packages.containers.find(reference)
    pieces = await streams.start(_pieces(packages, container))
    packages.events.publish("container", "export", container.id, container.attributes())
    return pieces


def _pieces(packages: Packages, container: Container) -> AsyncGenerator[bytes]:
    def work(target: Pipe) -> None:
        with container_files.opened(packages, container, with_mounts=False) as root_fd:
            top_fd = paths.openat2(root_fd, ".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                diff.write_tree(top_fd, target)
            finally:
                os.close(top_fd)

    return streams.drain(work, lambda pipe: occupied(container, pipe))
