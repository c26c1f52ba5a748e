# SPDX-License-Identifier: Apache-2.0
"""Transactional records: what must be remembered, by bucket and key; the meaning of a document is its owner's."""

from holdfast.metadata.store import Store, Transaction

__all__ = ["Store", "Transaction"]
