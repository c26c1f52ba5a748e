# SPDX-License-Identifier: Apache-2.0
"""Layers as files: an EROFS image is written from a layer's tar in one pass, without making a single file."""

from holdfast.snapshots.erofs.layer import Layer, write_layer

__all__ = ["Layer", "write_layer"]
