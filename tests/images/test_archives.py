# SPDX-License-Identifier: Apache-2.0
"""`load` and `save`: real images, every shape of archive, and archives that lie."""

import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from backports import zstd

from holdfast import images
from holdfast.content import compression
from holdfast.errors import Corrupt, Exhausted, HoldfastError, InvalidArgument, NotFound
from holdfast.oci import media


@pytest.fixture
def layer(kit: Any) -> bytes:
    return kit.tar_of({"a": b"1" * 3000})


def is_empty(store: images.Store) -> bool:
    store.collect()
    left = [*store.list(), *store.snapshots.iter_keys(), *store.snapshots.iter_names(), *store.content.iter()]
    return left == []


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("alpine-3.20", ["alpine:3.20"]),
        ("busybox-1.37.0-musl", ["busybox:1.37.0-musl"]),
        ("hello-world", ["hello-world:latest"]),
    ],
)
def test_real_images_load_and_keep_their_digests(store: images.Store, kit: Any, name: str, tags: list[str]) -> None:
    archive = kit.shared_image(name)

    names, lines = kit.load(store, archive)

    assert names == tags
    assert lines == [f"Loaded image: {tag}\n" for tag in tags]
    saved = b"".join(store.save(tags))
    image = store.get(tags[0])
    store.delete(tags[0])
    assert is_empty(store)
    kit.load(store, saved)
    assert store.get(tags[0]).id == image.id
    assert store.get(tags[0]).manifest == image.manifest
    assert b"".join(store.save(tags)) == saved


@pytest.mark.parametrize("encode", [bytes, gzip.compress, zstd.compress])
@pytest.mark.parametrize("outer", [bytes, gzip.compress, zstd.compress])
def test_layers_and_archives_may_be_compressed(
    store: images.Store, kit: Any, layer: bytes, encode: Any, outer: Any
) -> None:
    config = kit.config_of(layer)

    names, lines = kit.load(store, outer(kit.docker_archive(["app:1"], encode(layer), config=config)))

    assert names == ["app:1"]
    assert lines == ["Loaded image: app:1\n"]
    assert store.get("app:1").size == 3000


def test_an_image_without_names_is_told_by_its_id(store: images.Store, kit: Any, layer: bytes) -> None:
    names, lines = kit.load(store, kit.docker_archive([], layer))

    assert lines == [f"Loaded image ID: {names[0]}\n"]
    assert store.get(names[0]).repo_tags == ()


def test_a_taken_name_moves_and_says_so(store: images.Store, kit: Any, layer: bytes) -> None:
    (old,), _ = kit.load(store, kit.docker_archive([], layer))
    store.tag(old, "app:1")

    _, lines = kit.load(store, kit.docker_archive(["app:1"], layer, config=kit.config_of(layer, author="other")))

    assert lines[0] == f"The image app:1 already exists, renaming the old one with ID {old} to empty string\n"
    assert store.get("app:1").id != old


def test_layer_progress_is_told(store: images.Store, kit: Any, layer: bytes) -> None:
    told: list[dict[str, Any]] = []

    store.load(io.BytesIO(kit.docker_archive(["app:1"], layer)), told.append)

    assert told[0]["status"] == "Loading layer"
    assert told[-2]["progressDetail"] == {"current": len(layer), "total": len(layer)}
    assert told[-2]["id"] == kit.sha(layer)[7:19]


def test_symlinked_layers_of_old_archives_are_found(store: images.Store, kit: Any, layer: bytes) -> None:
    other = kit.tar_of({"b": b"2"})
    config = kit.config_of(layer, other, layer)
    item = {"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["0/layer.tar", "1/layer.tar", "2/layer.tar"]}
    members = {
        "c.json": config,
        "0/layer.tar": layer,
        "1/layer.tar": other,
        "manifest.json": json.dumps([item]).encode(),
    }

    kit.load(store, kit.tar_of(members, {"2/layer.tar": "../0/layer.tar"}))

    assert len(store.get("app:1").layers) == 3


def test_a_repository_is_saved_with_all_its_tags(store: images.Store, kit: Any, layer: bytes) -> None:
    kit.load(store, kit.docker_archive(["app:1", "app:2", "other:1"], layer))

    saved = b"".join(store.save(["app"]))
    image = store.get("app:1").id
    for name in ("app:1", "app:2", "other:1"):
        store.delete(name)
    kit.load(store, saved)

    assert store.get(image).repo_tags == ("app:1", "app:2")


def test_what_is_saved_is_as_old_as_its_image(store: images.Store, kit: Any, layer: bytes) -> None:
    kit.load(store, kit.docker_archive(["app:1"], layer))
    image = store.get("app:1")

    with tarfile.open(fileobj=io.BytesIO(b"".join(store.save(["app:1"])))) as archive:
        ages = {member.name.rpartition("/")[2]: int(member.mtime) for member in archive}

    assert ages[image.id[7:]] == ages[image.blobs[0].digest[7:]] == 1704164645
    assert ages[image.manifest[7:]] == ages["manifest.json"] == ages["index.json"] == 0


def test_a_manifest_of_a_known_kind_may_leave_its_schema_out(store: images.Store, kit: Any, layer: bytes) -> None:
    kit.load(store, kit.docker_archive(["app:1"], layer))
    found = store.get("app:1")
    config = {"mediaType": media.OCI_CONFIG, "digest": found.id, "size": store.content.size(found.id)}
    layers = [{"mediaType": media.OCI_LAYER, "digest": kit.sha(layer), "size": len(layer)}]
    manifest = json.dumps({"schemaVersion": 0, "mediaType": media.OCI_MANIFEST, "config": config, "layers": layers})
    entry = {"mediaType": media.OCI_MANIFEST, "digest": kit.sha(manifest.encode()), "size": len(manifest)}
    entry["annotations"] = {"io.containerd.image.name": "docker.io/library/app:2"}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]})
    raw = store.content.read(found.id, 1 << 20)
    blobs = {f"blobs/sha256/{kit.sha(data)[7:]}": data for data in (manifest.encode(), raw, layer)}

    assert kit.load(store, kit.tar_of({**blobs, "index.json": index.encode()}))[1] == ["Loaded image: app:2\n"]


def test_an_image_saved_by_id_has_no_names(store: images.Store, kit: Any, layer: bytes) -> None:
    kit.load(store, kit.docker_archive(["app:1"], layer))
    image = store.get("app:1").id
    saved = b"".join(store.save([image[7:19]]))
    store.delete("app:1")

    assert kit.load(store, saved)[1] == [f"Loaded image ID: {image}\n"]


def test_a_save_of_what_is_not_there_fails_before_the_first_byte(store: images.Store, kit: Any, layer: bytes) -> None:
    with pytest.raises(NotFound, match="No such image: nosuch:latest"):
        store.save(["nosuch"])
    kit.load(store, kit.docker_archive(["app:1"], layer))
    store.content.delete(kit.sha(layer))
    with pytest.raises(NotFound, match="missing"):
        store.save(["app:1"])


def refused(store: images.Store, kit: Any, archive: bytes) -> HoldfastError:
    with pytest.raises(HoldfastError) as caught:
        kit.load(store, archive)
    assert is_empty(store)
    return caught.value


def test_cfgpath_and_layerpath_find_only_what_the_archive_holds(store: images.Store, kit: Any, layer: bytes) -> None:
    for more in ({"Config": "../../../../etc/passwd"}, {"Layers": ["/etc/passwd"]}, {"Config": ""}):
        assert isinstance(refused(store, kit, kit.docker_archive(["x"], layer, **more)), InvalidArgument)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "0/layer.tar", "loop"])
def test_symlayer_a_linked_layer_never_leaves_the_archive(store: images.Store, kit: Any, target: str) -> None:
    item = {"Config": "c.json", "RepoTags": ["x"], "Layers": ["0/layer.tar"]}
    members = {"c.json": kit.config_of(b""), "manifest.json": json.dumps([item]).encode()}

    refused(store, kit, kit.tar_of(members, {"0/layer.tar": target, "0/loop": "layer.tar"}))


def test_a_layer_that_is_not_what_the_config_says_is_refused(store: images.Store, kit: Any, layer: bytes) -> None:
    error = refused(store, kit, kit.docker_archive(["x"], layer, config=kit.config_of(b"other")))

    assert isinstance(error, Corrupt)
    assert "verification failed" in error.message


def test_a_layer_too_few_is_refused(store: images.Store, kit: Any, layer: bytes) -> None:
    error = refused(store, kit, kit.docker_archive(["x"], config=kit.config_of(layer)))

    assert error.message == "invalid manifest, layers length mismatch: expected 1, got 0"


def test_a_blob_named_by_another_digest_is_refused(store: images.Store, kit: Any) -> None:
    refused(store, kit, kit.tar_of({"blobs/sha256/" + "0" * 64: b"x", "index.json": b"{}"}))


def test_a_blob_that_is_already_here_is_checked_too(store: images.Store, kit: Any, layer: bytes) -> None:
    with store.content.lease():
        present = store.content.put(b"present")

        with pytest.raises(InvalidArgument, match="another digest"):
            kit.load(store, kit.tar_of({f"blobs/sha256/{present[7:]}": b"liar"}))


@pytest.mark.parametrize(
    "archive",
    [b"", b"garbage" * 200, bytes(4096), gzip.compress(b"garbage" * 200)],
    ids=["nothing", "garbage", "zeros", "gzipped garbage"],
)
def test_what_is_no_archive_is_refused(store: images.Store, kit: Any, archive: bytes) -> None:
    assert isinstance(refused(store, kit, archive), InvalidArgument)


@pytest.mark.parametrize(
    "document", [b"", b"[", b"{}", b"[1]", b'[{"Config":1}]', b"[" * 100_000, b'[{"RepoTags":["x"]}]']
)
def test_a_bad_manifest_json_is_refused(store: images.Store, kit: Any, document: bytes) -> None:
    assert isinstance(refused(store, kit, kit.tar_of({"manifest.json": document})), InvalidArgument)


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"{", b'{"rootfs":{"diff_ids":["x"]}}', b'{"rootfs":{"diff_ids":["sha256:../x"]}}', b'{"config":1}'],
)
def test_a_bad_config_is_refused(store: images.Store, kit: Any, layer: bytes, config: bytes) -> None:
    refused(store, kit, kit.docker_archive(["x"], layer, config=config))


@pytest.mark.parametrize("tag", ["UPPER:1", "a b", "../x", "", "x@sha256:" + "0" * 64])
def test_a_bad_tag_is_refused(store: images.Store, kit: Any, layer: bytes, tag: str) -> None:
    assert "tag" in refused(store, kit, kit.docker_archive([tag], layer)).message


def test_a_truncated_archive_leaves_nothing(store: images.Store, kit: Any, layer: bytes) -> None:
    archive = kit.docker_archive(["x"], layer)

    for cut in range(100, len(archive) - 10240, 1000):
        refused(store, kit, archive[:cut])


def test_a_hostile_layer_leaves_nothing(store: images.Store, kit: Any) -> None:
    error = refused(store, kit, kit.docker_archive(["x"], kit.tar_of({"ok": b"", "../evil": b"x"})))

    assert "out of the root" in error.message


def test_a_layer_bomb_is_stopped(store: images.Store, kit: Any) -> None:
    layer = kit.tar_of({"big": bytes(8 << 20)})
    limits = compression.Limits(ratio=50, ratio_floor_bytes=1 << 20)
    store = images.Store(store.metadata, store.content, store.snapshots, limits=limits)

    error = refused(store, kit, kit.docker_archive(["x"], gzip.compress(layer), config=kit.config_of(layer)))

    assert isinstance(error, Exhausted)


def test_an_index_that_is_a_manifest_too_is_refused_cve_2021_41190(store: images.Store, kit: Any) -> None:
    index = {"schemaVersion": 2, "manifests": [], "layers": []}

    assert "ambiguous" in refused(store, kit, kit.tar_of({"index.json": json.dumps(index).encode()})).message


def test_an_image_for_another_platform_only_is_refused(store: images.Store, kit: Any) -> None:
    inner = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": kit.sha(b""),
                    "size": 0,
                    "platform": {"os": "linux", "architecture": "s390x"},
                }
            ],
        }
    ).encode()
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": kit.sha(inner), "size": len(inner)}
    outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()

    error = refused(store, kit, kit.tar_of({f"blobs/sha256/{kit.sha(inner)[7:]}": inner, "index.json": outer}))

    assert "does not match the specified platform" in error.message
