# SPDX-License-Identifier: Apache-2.0
"""What goes out and comes in again is the same to the last digest; what is damaged is named, and mended by the next load."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from holdfast import images
from holdfast.errors import HoldfastError

LAYERS = ("one", "two", "three")


@pytest.fixture
def archive(kit: Any) -> bytes:
    """Three images of shared layers under five names."""
    layers = [kit.tar_of({name: name.encode() * 1000}) for name in LAYERS]
    sets = {"a": layers[:1], "b": layers[:2], "c": [layers[0], layers[2]]}
    members: dict[str, bytes] = {f"{name}/layer.tar": layer for name, layer in zip(LAYERS, layers, strict=True)}
    names = dict(zip(layers, LAYERS, strict=True))
    items: list[dict[str, object]] = []
    tags = {"a": ["app:1", "app:2"], "b": ["registry.example:5000/team/b:x"], "c": ["c:latest", "c:old"]}
    for name, stack in sets.items():
        members[f"{name}.json"] = kit.config_of(*stack, comment=name)
        paths = [f"{names[layer]}/layer.tar" for layer in stack]
        items.append({"Config": f"{name}.json", "RepoTags": tags[name], "Layers": paths})
    return kit.tar_of({**members, "manifest.json": json.dumps(items).encode()})


def _shown(store: images.Store) -> dict[str, tuple[object, ...]]:
    return {
        image.id: (image.manifest, image.repo_tags, image.blobs, image.layers, image.raw_config, image.size)
        for image in store.list()
    }


def _save(store: images.Store, *names: str) -> bytes:
    with store.content.lease():
        return b"".join(store.save(list(names)))


def test_saved_images_come_back_with_the_same_names_and_digests(
    store: images.Store, kit: Any, archive: bytes, tmp_path: Path
) -> None:
    kit.load(store, archive)
    saved = _save(store, "app", "registry.example:5000/team/b:x", "c")
    other = kit.open_store(tmp_path / "other")

    names, _ = kit.load(other, saved)

    assert _shown(other) == _shown(store)
    assert sorted(names) == ["app:1", "app:2", "c:latest", "c:old", "registry.example:5000/team/b:x"]
    assert sorted(other.content.iter()) == sorted(store.content.iter())
    assert _save(other, "app", "registry.example:5000/team/b:x", "c") == saved


def test_an_archive_is_a_docker_archive_and_an_oci_layout(store: images.Store, kit: Any, archive: bytes) -> None:
    kit.load(store, archive)

    with tarfile.open(fileobj=io.BytesIO(_save(store, "app:1", "c:latest"))) as saved:
        members = {member.name: saved.extractfile(member) for member in saved if member.isfile()}
        documents = {
            name: json.load(file) for name, file in members.items() if file and name.endswith((".json", "layout"))
        }

    assert {"manifest.json", "index.json", "oci-layout"} <= documents.keys()
    named = [image["RepoTags"] for image in documents["manifest.json"]]
    assert named == [["app:1"], ["c:latest"]]
    assert len(documents["index.json"]["manifests"]) == 2
    for image in documents["manifest.json"]:
        assert {image["Config"], *image["Layers"]} <= members.keys()


def test_two_images_with_one_layer_carry_it_once(store: images.Store, kit: Any, archive: bytes) -> None:
    kit.load(store, archive)

    with tarfile.open(fileobj=io.BytesIO(_save(store, "app:1", "c:latest"))) as saved:
        blobs = [name for name in saved.getnames() if name.startswith("blobs/sha256/") and len(name) > 20]

    assert len(blobs) == len(set(blobs))


@pytest.mark.parametrize("damage", ["missing", "short", "bent"])
def test_a_damaged_layer_blob_is_named_and_the_next_load_mends_it(
    store: images.Store, kit: Any, archive: bytes, damage: str
) -> None:
    kit.load(store, archive)
    blob = store.get("c:latest").blobs[1].digest
    path = store.content.path(blob)
    whole = Path(path).read_bytes()
    os.chmod(path, 0o600)
    if damage == "missing":
        os.unlink(path)
    else:
        Path(path).write_bytes(whole[:-512] if damage == "short" else b"\xff" + whole[1:])

    if damage == "missing":
        with pytest.raises(HoldfastError, match=blob):
            _save(store, "c")
    kit.load(store, archive)

    assert Path(path).read_bytes() == whole
    assert len(_save(store, "c")) > len(whole)


def test_a_layer_that_is_gone_from_the_snapshots_comes_back_with_the_next_load(
    store: images.Store, kit: Any, archive: bytes
) -> None:
    kit.load(store, archive)
    chain = store.get("c:latest").chain_id
    assert chain is not None
    store.snapshots.remove(chain)

    kit.load(store, archive)

    assert store.snapshots.exists(chain)


@pytest.mark.parametrize("document", ["config", "manifest"])
def test_a_damaged_document_is_named_and_the_next_load_mends_it(
    store: images.Store, kit: Any, archive: bytes, document: str
) -> None:
    kit.load(store, archive)
    image = store.get("c:latest")
    blob = image.id if document == "config" else image.manifest
    path = Path(store.content.path(blob))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    again = kit.reopen(store)
    damaged = next(each for each in again.list() if each.id == image.id)

    assert blob in damaged.damage
    kit.load(again, archive)

    assert path.read_bytes() == whole
    assert again.get("c:latest").damage == ""
