# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of what reads strangers' bytes: not part of `make test`.

Needs atheris (`.venv/bin/pip install atheris`). One target for each parser; a crash is anything but an error of the house.
    .venv/bin/python tests/fuzz/parsers.py TARGET [-max_total_time=60] [CORPUS_FOLDER…]
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

import atheris
import msgspec

with atheris.instrument_imports(include=["holdfast"]):
    from holdfast.content import compression
    from holdfast.distribution import answers, challenge, credentials, hosts_file
    from holdfast.errors import HoldfastError
    from holdfast.oci import image as documents
    from holdfast.oci import reference as references
    from holdfast.registry import blobs, htpasswd, manifests
    from holdfast.snapshots import erofs
    from holdfast.snapshots.tar import reader as tar
    from holdfast.snapshots.tar import writer
    from holdfast.wire import http1

_CONFIG = """{"architecture": "amd64", "author": "a", "os": "linux", "os.version": "", "variant": "", "comment": "",
"created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["a"], "Env": ["A=b"], "Labels": {"a": "b"}, "User": "1", "Image": "",
"ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": 1},
"Entrypoint": null, "WorkingDir": "/", "StopSignal": "TERM", "StopTimeout": 1, "Shell": ["sh"], "OnBuild": ["RUN x"],
"Tty": false}, "rootfs": {"type": "layers", "diff_ids": ["sha256:x"]},
"history": [{"created": "2024-01-01T00:00:00Z", "created_by": "x", "empty_layer": true}], "x": {"y": 1}}"""
_WORDS = ["layers", "linux", "amd64", "2024-01-01T00:00:00Z", "sha256:" + "a" * 64, "A=b", "NONE", "CMD", "/", "", "0"]


def manifest(data: bytes) -> None:
    documents.decode(data)


def config(data: bytes) -> None:
    document = json.loads(_CONFIG)
    source = atheris.FuzzedDataProvider(data)
    for _ in range(source.ConsumeIntInRange(0, 4)):
        _damage(document, source)
    found = documents.decode_config(json.dumps(document).encode())
    assert documents.decode_config(msgspec.json.encode(found)) == found


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
    sealed = b"".join([_sealed(data[start : start + 512]) for start in range(0, len(data), 512)])
    for bytes_ in (data, sealed):
        try:
            _unpack(bytes_)
        except HoldfastError:
            continue


def _unpack(data: bytes) -> None:
    """Every entry, and the whole as a layer's image in memory: what the reader lets through must be writable."""
    archive_reader = tar.Reader(io.BytesIO(data))
    for entry in archive_reader:
        archive_reader.read(1 << 20)
        if entry.kind == b"0":
            entry.size = 0
        again = next(iter(tar.Reader(io.BytesIO(writer.encode(entry) + bytes(1024)))))
        assert (again.name, again.uid, again.gid, again.mtime_nanos) == (
            entry.name,
            entry.uid,
            entry.gid,
            entry.mtime_nanos,
        ), (entry, again)
    with open("/dev/shm/holdfast-fuzz.erofs", "w+b") as image:
        erofs.write_layer(image.fileno(), io.BytesIO(data), root_mode=0o755)


def _sealed(block: bytes) -> bytes:
    """A header whose checksum is right: else no mutation would ever get past it."""
    if len(block) < 512 or not block.strip(b"\0"):
        return block
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    return block[:148] + b"%06o\0 " % total + block[156:]


def _damage(document: dict[str, object], source: atheris.FuzzedDataProvider) -> None:
    """Puts a value of any kind in the place of another, at any depth, or adds or removes one."""
    place: object = document
    while isinstance(place, dict | list) and place:
        key = source.PickValueInList(list(place) if isinstance(place, dict) else list(range(len(place))))
        below = place[key]
        if isinstance(below, dict | list) and below and source.ConsumeBool():
            place = below
            continue
        what = source.ConsumeIntInRange(0, 4)
        if what == 0:
            del place[key]
        elif what == 1 and isinstance(place, list):
            place.append(_value(source, 3))
        elif what == 1:
            place[source.ConsumeUnicode(8)] = _value(source, 3)
        else:
            place[key] = _value(source, 3)
        return


def _value(source: atheris.FuzzedDataProvider, depth: int) -> object:
    """A JSON value of any kind."""
    kind = source.ConsumeIntInRange(0, 7 if depth else 5)
    if kind < 4:
        return (None, source.ConsumeBool(), source.ConsumeInt(9), source.ConsumeFloat())[kind]
    if kind == 4:
        return source.PickValueInList(_WORDS)
    if kind == 5:
        return source.ConsumeUnicode(12)
    if kind == 6:
        return [_value(source, depth - 1) for _ in range(source.ConsumeIntInRange(0, 4))]
    return {source.ConsumeUnicode(6): _value(source, depth - 1) for _ in range(source.ConsumeIntInRange(0, 4))}


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
