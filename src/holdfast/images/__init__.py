# SPDX-License-Identifier: Apache-2.0
"""Images: names to ids, ids to configs and layers; brought in, listed, named, saved and removed."""

from holdfast.images.filters import Filters
from holdfast.images.image import ContainerUse, HistoryItem, Image, Removed
from holdfast.images.store import Store

__all__ = ["ContainerUse", "Filters", "HistoryItem", "Image", "Removed", "Store"]
