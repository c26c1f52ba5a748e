# SPDX-License-Identifier: Apache-2.0
"""Events about images, with Docker's attributes: a name, and the image's labels if there is an image.

Called by the image jobs. Source: events of dockerd 28.5.
"""

from __future__ import annotations

from holdfast import images
from holdfast.engine.events import Events
from holdfast.errors import HoldfastError


def publish(events: Events, store: images.Store, action: str, actor_id: str, name: str) -> None:
    """Tells that `action` happened to the image that `actor_id` (an id or a name) stands for."""
    try:
        labels = store.get(actor_id).config.config.labels
    except HoldfastError:
        labels = {}
    events.publish("image", action, actor_id, {**labels, "name": name})
