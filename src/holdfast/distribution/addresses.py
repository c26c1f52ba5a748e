# SPDX-License-Identifier: Apache-2.0
"""Addresses that strangers name: realms, redirects, places of uploads, next pages. Pure."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit


def join(base: str, given: str) -> str:
    """Where a text leads from an address; empty when that is no http or https address of a host, or names a user."""
    try:
        target = urljoin(base, given)
        parts = urlsplit(target)
        is_fit = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        return ""
    return target if is_fit and target.isprintable() else ""
