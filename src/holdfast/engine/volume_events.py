# SPDX-License-Identifier: Apache-2.0
"""Events about the volumes that a container has while it runs. Called by the jobs start and reap.

Source: events of dockerd 28.5.
"""

from __future__ import annotations

from holdfast.containers import Container
from holdfast.engine.events import Events


def publish_mounts(events: Events, container: Container) -> None:
    """Tells that each of the container's volumes is in use."""
    for point in container.record.mounts:
        if point.type == "volume":
            attributes = {
                "container": container.id,
                "destination": point.destination,
                "driver": point.driver,
                "propagation": point.propagation,
                "read/write": "true" if point.rw else "false",
            }
            events.publish("volume", "mount", point.name, attributes)


def publish_unmounts(events: Events, container: Container) -> None:
    """Tells that they are not any more."""
    for point in container.record.mounts:
        if point.type == "volume":
            events.publish("volume", "unmount", point.name, {"container": container.id, "driver": point.driver})
