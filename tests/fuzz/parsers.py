# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of what reads strangers' bytes: not part of `make test`.

Needs atheris (`.venv/bin/pip install atheris`). One target for each parser; a crash is anything but an error of the house.
    .venv/bin/python tests/fuzz/parsers.py TARGET [-max_total_time=60] [CORPUS_FOLDER…]
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["holdfast"]):
    from holdfast.content import compression
    from holdfast.distribution import answers, challenge, credentials, hosts_file
    from holdfast.errors import HoldfastError
    from holdfast.oci import image as documents
    from holdfast.oci import reference as references
    from holdfast.registry import blobs, htpasswd, manifests
    from holdfast.snapshots.tar import reader as tar
    from holdfast.wire import http1


def manifest(data: bytes) -> None:
    documents.decode(data)


def config(data: bytes) -> None:
    documents.decode_config(data)


def pushed_manifest(data: bytes) -> None:
    kind, _, document = data.partition(b"\n")
    manifests.read_record(document, kind.decode("latin-1"))


def reference(data: bytes) -> None:
    parsed = references.parse(data.decode("utf-8", "replace"))
    assert references.parse(str(parsed)) == parsed


def header(data: bytes) -> None:
    text = data.decode("latin-1")
    challenge.parse(text)
    credentials.from_header(text)
    credentials.may_send("https://registry.example", text)
    answers.describe(500, data)


def byte_range(data: bytes) -> None:
    planned = blobs.plan_range(data.decode("latin-1"), 1000)
    assert planned is None or (planned[0] >= 0 and planned[1] > 0 and sum(planned) <= 1000)


def hosts(data: bytes) -> None:
    hosts_file.parse(data, "registry.example", "/x/hosts.toml")


def users(data: bytes) -> None:
    htpasswd.parse(data)


def stream(data: bytes) -> None:
    opened = compression.Reader(io.BytesIO(data), limits=compression.Limits(1 << 22, 100, 1 << 16))
    while opened.read(65536):
        pass


def archive(data: bytes) -> None:
    for entry in tar.Reader(io.BytesIO(data)):
        assert entry is not None


def request(data: bytes) -> None:
    reader = http1.RequestReader()
    reader.feed(data)
    try:
        while reader.next_head() is not None:
            while reader.next_data():
                pass
    except (http1.ProtocolError, EOFError):
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        manifest,
        config,
        pushed_manifest,
        reference,
        header,
        byte_range,
        hosts,
        users,
        stream,
        archive,
        request,
    )
}


def main() -> None:
    """Fuzzes one target until the time is over or something breaks."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} [libFuzzer options]")
    target = TARGETS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        try:
            target(data)
        except HoldfastError:
            return

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
