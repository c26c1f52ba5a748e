# SPDX-License-Identifier: Apache-2.0
"""Names that stand for an index: what is kept beside the image, what goes out again, and when it is given up."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from holdfast import images
from holdfast.errors import NotFound
from holdfast.images import archive_load, archive_save, indexes
from holdfast.oci import media
from holdfast.oci import reference as references
from holdfast.oci.platform import Platform

NAME = "team/app:1"
PLATFORMS = ("amd64", "arm64", "s390x")
ATTESTATION = {"os": "unknown", "architecture": "unknown"}


class Layout:
    """An OCI layout being made."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit
        self.blobs: dict[str, bytes] = {}

    def add(self, data: bytes, kind: str, **more: Any) -> dict[str, Any]:
        digest = self._kit.sha(data)
        self.blobs[digest] = data
        return {"mediaType": kind, "digest": digest, "size": len(data), **more}

    def image(self, architecture: str) -> dict[str, Any]:
        layer = self._kit.tar_of({"etc/platform": architecture.encode()})
        config = self._kit.config_of(layer, architecture=architecture)
        manifest = {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": self.add(config, media.OCI_CONFIG),
            "layers": [self.add(layer, media.OCI_LAYER)],
        }
        runs = {"os": "linux", "architecture": architecture}
        return self.add(json.dumps(manifest).encode(), media.OCI_MANIFEST, platform=runs)

    def attestation(self) -> dict[str, Any]:
        statement = self.add(b'{"predicate": 1}', "application/vnd.in-toto+json")
        config = self.add(b'{"architecture": "unknown", "os": "unknown"}', media.OCI_CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": config, "layers": [statement]}
        return self.add(json.dumps(manifest).encode(), media.OCI_MANIFEST, platform=ATTESTATION)

    def index(self, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
        return self.add(json.dumps(document).encode(), media.OCI_INDEX, **more)

    def archive(self, *entries: dict[str, Any]) -> bytes:
        index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        names = {f"blobs/{digest.replace(':', '/')}": data for digest, data in self.blobs.items()}
        return self._kit.tar_of({**names, "index.json": index})


@pytest.fixture
def layout(kit: Any) -> Layout:
    return Layout(kit)


def named(name: str) -> dict[str, Any]:
    return {"annotations": {"io.containerd.image.name": str(references.parse(name))}}


def save(store: images.Store, *names: str) -> bytes:
    with store.content.lease():
        return b"".join(store.save(list(names)))


def tops(archive: bytes) -> list[str]:
    """The digests that the archive's index.json names."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile("index.json")
        assert member is not None
        return [entry["digest"] for entry in json.load(member)["manifests"]]


def test_an_index_of_several_platforms_goes_out_as_it_came_in(
    store: images.Store, kit: Any, layout: Layout, tmp_path: Path
) -> None:
    index = layout.index(*map(layout.image, PLATFORMS), layout.attestation(), **named(NAME))
    kit.load(store, layout.archive(index))

    saved = save(store, NAME)
    other = kit.open_store(tmp_path / "other")
    kit.load(other, saved)

    assert [image.config.architecture for image in other.list()] == ["amd64"]
    assert set(layout.blobs) <= set(store.content.iter())
    assert tops(saved) == [index["digest"]]
    assert other.index_of(references.parse(NAME)) == index["digest"]
    assert save(other, NAME) == saved
    assert indexes.walk(other.content, index["digest"]).is_complete(other.content)


def test_an_index_in_an_index_goes_out_as_it_came_in(store: images.Store, kit: Any, layout: Layout) -> None:
    inner = layout.index(layout.image("arm64"))
    index = layout.index(layout.image("amd64"), inner, **named(NAME))
    kit.load(store, layout.archive(index))

    assert tops(save(store, NAME)) == [index["digest"]]
    assert set(layout.blobs) <= set(store.content.iter())


def test_one_platform_of_an_index_is_loaded_and_saved_alone(store: images.Store, kit: Any, layout: Layout) -> None:
    manifests = {name: layout.image(name) for name in PLATFORMS}
    index = layout.index(*manifests.values(), **named(NAME))

    archive_load.load(store, io.BytesIO(layout.archive(index)), lambda _: None, Platform("linux", "arm64"))

    assert store.get(NAME).config.architecture == "arm64"
    assert set(store.content.iter()) < set(layout.blobs)
    assert len(list(store.content.iter())) == 3
    assert tops(save(store, NAME)) == [manifests["arm64"]["digest"]]


def test_a_whole_index_is_saved_for_its_images_platform_only(store: images.Store, kit: Any, layout: Layout) -> None:
    manifests = {name: layout.image(name) for name in PLATFORMS}
    kit.load(store, layout.archive(layout.index(*manifests.values(), **named(NAME))))

    saved = b"".join(archive_save.save(store, [NAME], Platform("linux", "amd64")))

    assert tops(saved) == [manifests["amd64"]["digest"]]
    with pytest.raises(NotFound, match="no suitable export target found for platform linux/arm64"):
        archive_save.save(store, [NAME], Platform("linux", "arm64"))


def test_an_archive_without_the_platform_is_refused(store: images.Store, kit: Any, layout: Layout) -> None:
    archive = layout.archive(layout.index(layout.image("amd64"), **named(NAME)))

    with pytest.raises(NotFound, match="does not match the specified platform"):
        archive_load.load(store, io.BytesIO(archive), lambda _: None, Platform("linux", "s390x"))

    assert store.list() == []
    assert list(store.content.iter()) == []


def test_of_an_index_in_parts_the_image_goes_out(store: images.Store, kit: Any, layout: Layout) -> None:
    mine, other = layout.image("amd64"), layout.image("arm64")
    index = layout.index(mine, other, **named(NAME))
    del layout.blobs[other["digest"]]
    kit.load(store, layout.archive(index))

    assert tops(save(store, NAME)) == [mine["digest"]]


def test_another_tag_carries_the_index_on_and_an_id_does_not(store: images.Store, kit: Any, layout: Layout) -> None:
    index = layout.index(*map(layout.image, PLATFORMS), **named(NAME))
    kit.load(store, layout.archive(index))

    store.tag(NAME, "by/name:1")
    store.tag(store.get(NAME).id, "by/id:1")

    assert tops(save(store, "by/name:1")) == [index["digest"]]
    assert tops(save(store, "by/id:1")) != [index["digest"]]


def test_the_index_is_known_after_a_restart_and_goes_with_its_last_name(
    store: images.Store, kit: Any, layout: Layout, tmp_path: Path
) -> None:
    index = layout.index(*map(layout.image, PLATFORMS), **named(NAME))
    kit.load(store, layout.archive(index))
    store.tag(store.get(NAME).id, "by/id:1")
    store.metadata.close()

    again = kit.open_store(tmp_path / "data")

    assert tops(save(again, NAME)) == [index["digest"]]
    again.delete(NAME)
    left = set(again.content.iter())
    assert index["digest"] not in left
    assert len(left & set(layout.blobs)) == 3
    assert again.get("by/id:1").config.architecture == "amd64"


def test_a_plain_image_that_takes_the_name_ends_the_index(store: images.Store, kit: Any, layout: Layout) -> None:
    index = layout.index(*map(layout.image, PLATFORMS), **named(NAME))
    kit.load(store, layout.archive(index))

    kit.load(store, kit.docker_archive([NAME], kit.tar_of({"new": b"1"})))

    assert store.index_of(references.parse(NAME)) is None


def test_an_index_that_names_itself_ends(store: images.Store) -> None:
    entry = {"mediaType": media.OCI_INDEX, "digest": "sha256:" + "0" * 64, "size": 1}
    inner = store.content.put(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    for _ in range(8):
        size = store.content.size(inner)
        below = [{"mediaType": media.OCI_INDEX, "digest": inner, "size": size}] * 3
        inner = store.content.put(
            json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": below}).encode()
        )

    tree = indexes.walk(store.content, inner)

    assert tree.missing
    assert not tree.is_complete(store.content)
