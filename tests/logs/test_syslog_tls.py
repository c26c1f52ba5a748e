# SPDX-License-Identifier: Apache-2.0
"""Syslog over TLS: RFC 5425's lengths, a collector that is believed only with its authority, and one's own certificate."""

import gc
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from collectors import Collector, read_syslog, split_counted, split_lines, wait_for
from log_target import target

from holdfast import errors
from holdfast.kernel.loop import Loop
from holdfast.logs import factory

NOW = 1_700_000_000_123_456_789


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Loops and writers know each other: their descriptors are closed here, not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that is its own authority, and its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


def _collector(certificate: Path, form: str) -> Collector:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return Collector("tcp", split=split_counted if form.startswith("rfc5424") else split_lines, context=context)


@pytest.mark.parametrize("form", ["", "rfc3164", "rfc5424", "rfc5424micro"])
def test_entries_arrive_over_tls_with_certificates_on_both_sides(certificate: Path, form: str):
    collector = _collector(certificate, form)
    options = {
        "syslog-address": f"tcp+tls://localhost:{collector.address[1]}",
        "syslog-tls-ca-cert": str(certificate),
        "syslog-tls-cert": str(certificate),
        "syslog-tls-key": str(certificate.with_name("key.pem")),
        "syslog-format": form,
    }
    writer = factory.open_writer(target("syslog", "", options))
    writer.watch(Loop(), lambda: None)

    writer.write(1, b"one\ntwo\n", NOW)
    writer.write(2, b"three\n", NOW)
    writer.close(NOW)

    wait_for(lambda: len(collector.messages) == 3)
    assert list(read_syslog(collector.messages)) == [(1, b"one"), (1, b"two"), (2, b"three")]
    collector.stop()


def test_a_collector_without_a_known_authority_is_refused(certificate: Path):
    collector = _collector(certificate, "")
    address = f"tcp+tls://localhost:{collector.address[1]}"

    with pytest.raises(errors.Unavailable, match="certificate"):
        factory.open_writer(target("syslog", "", {"syslog-address": address}))
    with pytest.raises(errors.HoldfastError, match="TLS files"):
        factory.open_writer(target("syslog", "", {"syslog-address": address, "syslog-tls-ca-cert": "/no/such"}))

    collector.stop()
