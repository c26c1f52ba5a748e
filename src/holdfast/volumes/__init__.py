# SPDX-License-Identifier: Apache-2.0
"""Volumes: directories that outlive containers, by name."""

from holdfast.volumes.store import Store, Write
from holdfast.volumes.volume import ANONYMOUS_LABEL, Described, Volume

__all__ = ["ANONYMOUS_LABEL", "Described", "Store", "Volume", "Write"]
