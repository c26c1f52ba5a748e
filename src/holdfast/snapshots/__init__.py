# SPDX-License-Identifier: Apache-2.0
"""Layers and containers' file systems: snapshots that build on each other, made from tars, handed out as mounts."""

from holdfast.snapshots.driver import Applied, Driver, Inventory, Snapshotter, Usage
from holdfast.snapshots.factory import open_driver

__all__ = ["Applied", "Driver", "Inventory", "Snapshotter", "Usage", "open_driver"]
