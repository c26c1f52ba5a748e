# SPDX-License-Identifier: Apache-2.0
"""Pushing names that stand for an index: the whole when it is here, else the image that is, and a note of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shelf import NAME, push, put_under_index, texts

from holdfast.errors import NotFound
from holdfast.oci.platform import Platform

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/s390x")


def test_a_complete_index_goes_with_all_its_images_byte_for_byte(
    registry: Any, pusher: Any, shelf: Any, store: Any
) -> None:
    index, manifests = put_under_index(shelf, f"{registry.host}/{NAME}:v1", *PLATFORMS)

    told = push(pusher, registry)

    for name, digest in (("v1", index), *((digest, digest) for digest in manifests)):
        assert registry.manifests[name].data == store.read(digest, 1 << 20)
    for digest in manifests:
        manifest = json.loads(store.read(digest, 1 << 20))
        assert {
            manifest["config"]["digest"],
            *(layer["digest"] for layer in manifest["layers"]),
        } <= registry.blobs.keys()
    assert texts(told).count("Pushed") == 3
    assert told[-1]["aux"]["Digest"] == index
    assert (f"{registry.host}/{NAME}", index) in shelf.registered
    names = [
        seen.path.rpartition("/")[2] for seen in registry.seen if seen.method == "PUT" and "/manifests/" in seen.path
    ]
    assert names == [*manifests, "v1"]


def test_of_an_index_in_parts_the_image_goes_and_a_note_tells_it(
    registry: Any, pusher: Any, shelf: Any, store: Any
) -> None:
    index, manifests = put_under_index(shelf, f"{registry.host}/{NAME}:v1", *PLATFORMS)
    store.delete(json.loads(store.read(manifests[2], 1 << 20))["layers"][0]["digest"])

    told = push(pusher, registry)

    assert registry.manifests["v1"].data == store.read(manifests[0], 1 << 20)
    note = told[-1]["aux"]
    assert note["manifestPushedInsteadOfIndex"] is True
    assert (note["originalIndex"]["digest"], note["selectedManifest"]["digest"]) == (index, manifests[0])


def test_one_platform_of_an_index_goes_as_it_is(registry: Any, pusher: Any, shelf: Any, store: Any) -> None:
    _, manifests = put_under_index(shelf, f"{registry.host}/{NAME}:v1", *PLATFORMS)

    push(pusher, registry, platform=Platform("linux", "arm64"))

    assert registry.manifests["v1"].data == store.read(manifests[1], 1 << 20)
    assert manifests[0] not in registry.manifests
    assert shelf.registered == []  # the name here stands for another platform's image


@pytest.mark.parametrize("architecture", ["riscv64", "s390x"])
def test_a_platform_that_is_not_here_is_said(
    registry: Any, pusher: Any, shelf: Any, store: Any, architecture: str
) -> None:
    _, manifests = put_under_index(shelf, f"{registry.host}/{NAME}:v1", *PLATFORMS)
    store.delete(manifests[2])

    with pytest.raises(NotFound, match=f"does not provide the specified platform \\(linux/{architecture}\\)"):
        push(pusher, registry, platform=Platform("linux", architecture))

    assert not registry.manifests


@pytest.mark.parametrize("platform", [None, Platform("linux", "amd64")])
def test_an_index_that_is_gone_stands_in_nobodys_way(
    registry: Any, pusher: Any, shelf: Any, store: Any, platform: Any
) -> None:
    index, manifests = put_under_index(shelf, f"{registry.host}/{NAME}:v1", *PLATFORMS)
    store.delete(index)

    push(pusher, registry, platform=platform)

    assert registry.manifests["v1"].data == store.read(manifests[0], 1 << 20)
