# SPDX-License-Identifier: Apache-2.0
"""The TLS context of the tcp listeners. Called by `daemon.service`. Source: ssl(3), dockerd's --tls options."""

from __future__ import annotations

import ssl

from holdfast.daemon.config import TLSConfig
from holdfast.errors import InvalidArgument


def make_context(config: TLSConfig) -> ssl.SSLContext:
    """A server context, TLS 1.2 or newer; with `verify` a client needs a certificate that the CA signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.certificate, config.key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(
            f"could not load X509 key pair (cert: {config.certificate!r}, key: {config.key!r}): {error}"
        ) from None
    if config.verify:
        try:
            context.load_verify_locations(config.ca)
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"could not read CA certificate {config.ca!r}: {error}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
