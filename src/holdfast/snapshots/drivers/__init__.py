# SPDX-License-Identifier: Apache-2.0
"""Snapshot drivers; only `snapshots.factory` imports them."""
