# SPDX-License-Identifier: Apache-2.0
"""Pulls of images that are here: cheap when they are whole, and mending when they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.oci import digest as digests
from holdfast.oci import media, reference
from holdfast.oci.platform import Platform

NAME = "team/app"


def pull(puller: Any, registry: Any, **options: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    puller.pull(reference.parse(f"{registry.host}/{NAME}:v1"), progress=told.append, **options)
    return told


def speak(registry: Any) -> None:
    """Has the registry name its digests, as real ones do."""
    for document in registry.manifests.values():
        document.headers["Docker-Content-Digest"] = digests.of(document.data)


def test_a_present_image_is_asked_for_with_one_head(registry: Any, puller: Any) -> None:
    registry.add_image("v1", b"base", b"top")
    speak(registry)
    pull(puller, registry)
    registry.seen.clear()

    told = pull(puller, registry)

    assert [(seen.method, seen.path) for seen in registry.seen] == [("HEAD", f"/v2/{NAME}/manifests/v1")]
    assert [message["status"].partition(" ")[0] for message in told] == ["Pulling", "Digest:", "Status:"]
    assert "Image is up to date" in told[-1]["status"]


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": "nonsense"}])
def test_a_registry_whose_head_says_nothing_is_asked_as_before(registry: Any, puller: Any, headers: Any) -> None:
    registry.add_image("v1", b"base")
    speak(registry)
    pull(puller, registry)
    registry.misbehave("/manifests/v1", lambda h: h.command == "HEAD" and h.reply(200, b"", headers))

    assert "Image is up to date" in pull(puller, registry)[-1]["status"]


@pytest.mark.parametrize("status", [404, 405, 500])
def test_a_registry_that_knows_no_head_is_asked_as_before(registry: Any, puller: Any, status: int) -> None:
    registry.add_image("v1", b"base")
    speak(registry)
    pull(puller, registry)
    registry.misbehave("/manifests/v1", lambda h: h.command == "HEAD" and h.refuse(status, "UNSUPPORTED", "no"))

    assert "Image is up to date" in pull(puller, registry)[-1]["status"]


def test_a_tag_that_moved_is_pulled(registry: Any, puller: Any) -> None:
    registry.add_image("v1", b"base")
    speak(registry)
    pull(puller, registry)
    registry.add_image("v1", b"base", b"new")
    speak(registry)

    assert "Downloaded newer image" in pull(puller, registry)[-1]["status"]


def test_another_platform_of_a_present_index_is_pulled(registry: Any, puller: Any, images: Any) -> None:
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": []}
    for architecture in ("amd64", "arm64"):
        manifest = registry.manifest(architecture.encode(), architecture=architecture)
        digest = registry.add_document(architecture, manifest)
        entry = {"mediaType": media.OCI_MANIFEST, "digest": digest, "size": len(json.dumps(manifest))}
        index["manifests"].append({**entry, "platform": {"os": "linux", "architecture": architecture}})
    registry.add_document("v1", index, media.OCI_INDEX, Docker_Content_Digest=digests.of(json.dumps(index).encode()))
    pull(puller, registry, platform=Platform("linux", "amd64"))

    told = pull(puller, registry, platform=Platform("linux", "arm64"))

    assert "Downloaded newer image" in told[-1]["status"]
    assert len(images.image_ids) == 2


def damage(store: Any, digest: str, how: str) -> None:
    path = Path(store.path(digest))
    data = path.read_bytes()
    if how == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "shorter":
        path.write_bytes(data[:-1])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["changed", "shorter", "gone"])
def test_a_pull_mends_a_config_that_the_disk_changed(registry: Any, puller: Any, store: Any, how: str) -> None:
    registry.add_image("v1", b"base")
    speak(registry)
    pull(puller, registry)
    config = json.loads(registry.manifests["v1"].data)["config"]["digest"]
    damage(store, config, how)

    assert "Image is up to date" in pull(puller, registry)[-1]["status"]
    assert store.read(config, 1 << 20) == registry.blobs[config]


@pytest.mark.parametrize("how", ["shorter", "gone"])
def test_a_pull_mends_a_layer_blob_of_a_present_image(registry: Any, puller: Any, store: Any, how: str) -> None:
    registry.add_image("v1", b"base", b"top")
    speak(registry)
    pull(puller, registry)
    _, top = (layer["digest"] for layer in json.loads(registry.manifests["v1"].data)["layers"])
    damage(store, top, how)

    told = pull(puller, registry)

    assert next(message["status"] for message in told if message.get("id") == top[7:19]) == "Pulling fs layer"
    assert len([message for message in told if message["status"] == "Already exists"]) == 1
    store.verify(top)


def test_a_blob_that_was_damaged_before_it_was_unpacked_is_fetched_anew(
    registry: Any, puller: Any, store: Any, images: Any
) -> None:
    registry.add_image("v1", b"base", b"top")
    speak(registry)
    pull(puller, registry)
    digest = json.loads(registry.manifests["v1"].data)["layers"][1]["digest"]
    damage(store, digest, "changed")
    images.chains.pop()
    images.image_ids.clear()

    assert pull(puller, registry)[-1]["status"].startswith("Status: ")
    store.verify(digest)
    assert len(images.chains) == 2
