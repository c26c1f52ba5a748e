# SPDX-License-Identifier: Apache-2.0
"""Documents from strangers: read what is right, refuse what is wrong or could be read in two ways."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument
from holdfast.oci import digest, image, media, platform, strict
from holdfast.oci.descriptor import Descriptor

LAYER = {"mediaType": media.OCI_LAYER_GZIP, "digest": digest.of(b"l"), "size": 1}
CONFIG = {"mediaType": media.OCI_CONFIG, "digest": digest.of(b"c"), "size": 1}
MANIFEST = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


def test_config_with_nulls_and_unknown_members_is_read() -> None:
    data = encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"], "Labels": None, "Entrypoint": None, "ExposedPorts": {"80/tcp": {}}, "New": 1},
            "rootfs": {"type": "layers", "diff_ids": [digest.of(b"")]},
            "history": None,
        }
    )

    config = image.decode_config(data)

    assert config.config.cmd == ("sh",)
    assert config.config.entrypoint is None
    assert config.config.exposed_ports == {"80/tcp": {}}
    assert config.rootfs.diff_ids == (digest.of(b""),)
    assert str(config.platform) == "linux/amd64"


def test_manifest_is_read() -> None:
    manifest = image.decode(encode(MANIFEST), media.OCI_MANIFEST)

    assert isinstance(manifest, image.Manifest)
    assert manifest.layers[0].digest == digest.of(b"l")


def test_confused_manifest_is_refused_cve_2021_41190() -> None:
    with pytest.raises(InvalidArgument, match="ambiguous"):
        image.decode(encode({**MANIFEST, "manifests": []}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mediaType": media.OCI_INDEX}, "announced"),
        ({"mediaType": [None]}, "mediaType is not a string"),
        ({"schemaVersion": 1}, "schema version 1"),
        ({"schemaVersion": 3}, "schemaVersion"),
        ({"schemaVersion": "0"}, "schemaVersion"),
        ({"layers": "x"}, "layers"),
        ({"layers": [{**LAYER, "digest": "sha256:../../x"}]}, "invalid digest"),
        ({"layers": [{**LAYER, "size": -1}]}, "negative size"),
        ({"layers": [{**LAYER, "size": "big"}]}, "size"),
        ({"config": None}, "config"),
    ],
)
def test_wrong_manifest_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        image.decode(encode({**MANIFEST, **change}), media.OCI_MANIFEST)


def test_huge_manifest_is_refused_before_parsing() -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        strict.document(b" " * 100, "manifest", max_bytes=99)


def test_deep_document_is_refused() -> None:
    data = b'{"schemaVersion":2,"config":' + b'{"a":' * 5000 + b"1" + b"}" * 5001

    with pytest.raises(InvalidArgument):
        image.decode(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        image.decode(b"\x00" + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(["config", "rootfs", "history", "created", "os"]), json_values)
def test_config_of_wrong_shape_never_escapes_the_taxonomy(member: str, value: object) -> None:
    with contextlib.suppress(InvalidArgument):
        image.decode_config(encode({member: value}))


def manifest_for(text: str, number: int) -> Descriptor:
    wanted = platform.parse(text, "x86_64") if text else None
    return Descriptor(media.OCI_MANIFEST, digest.of(str(number).encode()), 1, platform=wanted)


def test_index_chooses_the_nearest_platform() -> None:
    offers = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "unknown/unknown"]
    index = image.Index(schema_version=2, manifests=tuple(manifest_for(t, i) for i, t in enumerate(offers)))

    def chosen(text: str) -> str | None:
        found = image.choose(index, platform.parse(text, "x86_64"))
        return offers[index.manifests.index(found)] if found else None

    assert chosen("linux/amd64") == "linux/amd64"
    assert chosen("x86_64") == "linux/amd64"
    assert chosen("linux/arm/v7") == "linux/arm/v7"
    assert chosen("linux/arm/v8") == "linux/arm/v7"
    assert chosen("linux/arm/v5") is None
    assert chosen("aarch64") == "linux/arm64/v8"
    assert chosen("linux/s390x") is None


def test_descriptor_round_trips_without_empty_members() -> None:
    document = {**LAYER, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"}}

    descriptor = Descriptor.from_json(document)

    assert descriptor.to_json() == document
    assert msgspec.json.decode(msgspec.json.encode(descriptor)) == document
