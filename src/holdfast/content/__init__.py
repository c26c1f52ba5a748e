# SPDX-License-Identifier: Apache-2.0
"""Blobs by digest: stored as an OCI image layout, verified before they have a name."""

from holdfast.content.ingest import Ingest
from holdfast.content.store import Lease, Store

__all__ = ["Ingest", "Lease", "Store"]
