# SPDX-License-Identifier: Apache-2.0
"""Tar archives, read from strangers and written for them: headers, pax, GNU names; no file system here."""

from holdfast.snapshots.tar.entry import Entry, Kind, Limits
from holdfast.snapshots.tar.reader import Reader
from holdfast.snapshots.tar.writer import Writer

__all__ = ["Entry", "Kind", "Limits", "Reader", "Writer"]
