# SPDX-License-Identifier: Apache-2.0
"""Whether an image is for the platform that a client says it means. Called by the routes and jobs of images.

Source: Engine API v1.51, parameter `platform` of ImageInspect, ImageHistory, ImageDelete, ImagePush; texts of dockerd 28.5.
"""

from __future__ import annotations

from holdfast import images
from holdfast.errors import NotFound
from holdfast.oci import platform as platforms
from holdfast.oci.platform import Platform


def check(store: images.Store, name: str, wanted: Platform) -> None:
    """NotFound when the image is for another platform."""
    has = store.get(name).config.platform
    if not platforms.is_match(wanted, has):
        raise NotFound(
            f"image with reference {name} was found but its platform ({has}) does not match the specified platform "
            f"({wanted})"
        )
