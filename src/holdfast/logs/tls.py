# SPDX-License-Identifier: Apache-2.0
"""TLS towards a collector. Imported in a courier only, and by the few that need it: `ssl` takes 3 MB and 20 ms."""

from __future__ import annotations

import ssl

from holdfast import errors

Context = ssl.SSLContext


def client_context(authority: str = "", certificate: str = "", key: str = "", *, verifies: bool = True) -> Context:
    """What a connection is wrapped with; files by their paths; InvalidArgument for one that is none."""
    try:
        context = ssl.create_default_context(cafile=authority or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate or key:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        named = authority or certificate or key
        raise errors.InvalidArgument(f"could not load TLS files of the collector ({named}): {error}") from None
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
