# SPDX-License-Identifier: Apache-2.0
"""What strangers send, in any shape: the parsers of this package end in a value or in an error of the house.

The named cases of security.md 2.2 that a pull meets are in test_pull.py (corrupt, badsize, wronghdr, confused, huge,
baddigest, foreign, authrealm, redir, b503x2, b500, trunc); here are the bombs, and everything at random.
"""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import content, images, metadata, snapshots
from holdfast.content import compression
from holdfast.distribution import Puller, Registries, RegistryConfig, addresses, answers, challenge, credentials, retry
from holdfast.errors import Exhausted, HoldfastError, InvalidArgument
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci import reference as references

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["schemaVersion", "mediaType", "layers", "manifests", "config", "digest", "size", "platform", "x"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["", media.OCI_MANIFEST, media.OCI_INDEX, media.DOCKER_LIST]))
def test_no_manifest_is_worse_than_an_error(document: Any, media_type: str) -> None:
    data = json.dumps(document).encode()
    for parse in (lambda: documents.decode(data, media_type), lambda: documents.decode_config(data)):
        try:
            parse()
        except HoldfastError:
            continue


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_an_error(data: bytes) -> None:
    try:
        documents.decode(data)
    except HoldfastError:
        pass
    answers.describe(500, data)
    credentials.from_header(data.decode("latin-1"))


@given(st.text(alphabet='Bearer realm="x",= \\\t;', max_size=300))
def test_no_challenge_is_worse_than_none(header: str) -> None:
    assert isinstance(challenge.parse(header), list)


@pytest.mark.parametrize(
    "given",
    ["http://[", "//~]", "http://x:99999/", "http://x:port/", "ftp://x", "http://u:p@x/", "http://", "http://x/\n"],
)
def test_an_address_that_is_none_leads_nowhere(registry: Any, given: str) -> None:
    assert addresses.join("https://registry.example/v2/", given) == ""
    assert not credentials.may_send("https://registry.example", given)


@pytest.mark.parametrize("header", ["Location", "realm"])
def test_a_hostile_address_in_an_answer_is_an_error_of_the_house(registry: Any, puller: Any, header: str) -> None:
    """Found by the fuzzer: urlsplit raises ValueError for an open bracket."""
    registry.add_image("latest", b"a" * 100)
    if header == "Location":
        registry.misbehave("/manifests/", lambda h: h.reply(307, b"", {"Location": "http://[::1"}))
    else:
        asks = {"WWW-Authenticate": 'Bearer realm="http://[::1",service="s"'}
        registry.misbehave("/manifests/", lambda h: h.refuse(401, "UNAUTHORIZED", "no", asks))

    with pytest.raises(HoldfastError):
        puller.pull(references.parse(f"{registry.host}/library/thing"))


@given(st.text(max_size=60))
def test_a_reference_is_parsed_to_something_that_parses_again(text: str) -> None:
    try:
        parsed = references.parse(text)
    except HoldfastError:
        return
    assert references.parse(str(parsed)) == parsed


@settings(max_examples=5)
@given(st.integers(1000, 4000))
def test_long_hostile_texts_take_no_time(length: int) -> None:
    began = time.perf_counter()
    for text in ("a" * length, "a-" * length, "a__" * length, "a/" * length, "A" * length, "-" * length + "."):
        for parse in (references.parse, lambda text: challenge.parse(f'Bearer {text}="{text}') or None):
            try:
                parse(text)
            except HoldfastError:
                pass
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bomb_a_layer_that_expands_without_end_is_stopped_and_its_space_freed(
    registry: Any, tmp_path: Any, kind: str
) -> None:
    plain = bytes(40 << 20)
    packed = gzip.compress(plain, mtime=0) if kind == "gzip" else compression._zstd.compress(plain)
    manifest = registry.manifest(b"small")
    media_type = media.OCI_LAYER_GZIP if kind == "gzip" else media.OCI_LAYER_ZSTD
    manifest["layers"] = [{"mediaType": media_type, "digest": registry.add_blob(packed), "size": len(packed)}]
    registry.add_document("latest", manifest)
    blobs, records = content.Store(str(tmp_path / "content")), metadata.Store(tmp_path / "metadata.db")
    store = images.Store(
        records,
        blobs,
        snapshots.open_driver("vfs", str(tmp_path)),
        limits=compression.Limits(total_bytes=1 << 30, ratio=50, ratio_floor_bytes=1 << 20),
    )
    puller = Puller(
        store=blobs, images=store, registries=Registries(RegistryConfig(certs_dirs=()), policy=retry.Policy())
    )

    with pytest.raises(Exhausted, match="more than 50 times its size"):
        puller.pull(references.parse(f"{registry.host}/library/bomb"))

    puller.close()
    assert store.list() == []
    assert list(store.snapshots.iter_names()) == []
    assert list(store.snapshots.iter_keys()) == []


def test_huge_a_large_manifest_comes_in_where_the_option_allows_it(registry: Any, images: Any) -> None:
    manifest = registry.manifest(b"layer")
    registry.add_document("latest", {**manifest, "annotations": {"x": "y" * (5 << 20)}})
    name = references.parse(f"{registry.host}/library/large")

    def pull(limits: strict.Limits) -> None:
        registries = Registries(RegistryConfig(certs_dirs=(), documents=limits), policy=retry.Policy(attempts=1))
        puller = Puller(store=images.store, images=images, registries=registries)
        try:
            puller.pull(name)
        finally:
            puller.close()

    with pytest.raises(InvalidArgument, match="the daemon's option max-manifest-size allows more"):
        pull(strict.Limits())
    pull(strict.Limits(8 << 20))
