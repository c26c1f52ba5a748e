# SPDX-License-Identifier: Apache-2.0
"""Pushing against a registry that can misbehave: what is sent, what is not, and what it survives."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from shelf import NAME, made_pusher, push, sha256, texts, zipped

from holdfast.distribution import (
    Cancellation,
    Cancelled,
    Credentials,
    uploads,
)
from holdfast.distribution.origins import Origin
from holdfast.errors import Corrupt, HoldfastError, InvalidArgument, NotFound
from holdfast.oci import media
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor


def test_the_same_bytes_go_out_that_came_in(registry: Any, pusher: Any, shelf: Any, store: Any) -> None:
    layer = zipped(b"one" * 1000)
    image = shelf.add(f"{registry.host}/{NAME}:v1", layer, zipped(b"two"))

    told = push(pusher, registry)

    assert registry.manifests["v1"].data == store.read(image.manifest, 1 << 20)
    assert registry.blobs[sha256(layer[1])] == layer[1]
    assert shelf.registered == [(f"{registry.host}/{NAME}", image.manifest)]
    assert texts(told)[0] == f"The push refers to repository [{registry.host}/{NAME}]"
    assert sorted(texts(told)[1:5]) == ["Preparing", "Preparing", "Pushed", "Pushed"]
    size = len(registry.manifests["v1"].data)
    assert told[-2] == {"status": f"v1: digest: {image.manifest} size: {size}"}
    assert told[-1] == {"progressDetail": {}, "aux": {"Tag": "v1", "Digest": image.manifest, "Size": size}}


def test_what_is_there_is_not_sent_again(registry: Any, pusher: Any, shelf: Any) -> None:
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))
    push(pusher, registry)
    before = len(registry.uploads)

    told = push(pusher, registry)

    assert len(registry.uploads) == before
    assert "Layer already exists" in texts(told)


def test_a_plain_layer_is_compressed_the_same_way_each_time(
    registry: Any, other_registry: Any, pusher: Any, shelf: Any
) -> None:
    plain = b"x" * 100_000
    for each in (registry, other_registry):
        shelf.add(f"{each.host}/{NAME}:v1", (media.OCI_LAYER, plain, plain))
        push(pusher, each)

    [layer] = json.loads(registry.manifests["v1"].data)["layers"]
    assert layer["mediaType"] == media.OCI_LAYER_GZIP
    assert gzip.decompress(registry.blobs[layer["digest"]]) == plain
    assert registry.manifests["v1"].data == other_registry.manifests["v1"].data


def test_a_plain_layer_that_was_pushed_is_neither_compressed_nor_sent_again(
    registry: Any, pusher: Any, shelf: Any, store: Any
) -> None:
    plain = b"x" * 1000
    shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER, plain, plain))
    push(pusher, registry)
    [layer] = json.loads(registry.manifests["v1"].data)["layers"]
    store.delete(layer["digest"])

    assert "Layer already exists" in texts(push(pusher, registry))
    assert not store.has(layer["digest"])


def test_a_form_that_was_never_unpacked_stands_for_nothing(
    registry: Any, pusher: Any, shelf: Any, origins: Any
) -> None:
    """A hostile manifest may name any blob beside a known config; only what was unpacked to the diff id counts."""
    plain, lie = b"x" * 1000, gzip.compress(b"evil", mtime=0)
    reference = references.parse(f"{registry.host}/{NAME}:v1")
    registry.add_blob(lie)
    described = Descriptor(media.OCI_LAYER_GZIP, sha256(lie), len(lie))  # pyright: ignore[reportArgumentType]
    origins.add([(sha256(plain), Origin.at(described, reference, is_verified=False))])
    shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER, plain, plain))

    push(pusher, registry)

    [layer] = json.loads(registry.manifests["v1"].data)["layers"]
    assert gzip.decompress(registry.blobs[layer["digest"]]) == plain


@pytest.mark.parametrize("how", ["gone", "shorter"])
def test_a_layer_that_is_not_here_is_named(registry: Any, pusher: Any, shelf: Any, store: Any, how: str) -> None:
    layer = zipped(b"one")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    path = Path(store.path(sha256(layer[1])))
    path.unlink() if how == "gone" else path.write_bytes(layer[1][:-1])

    with pytest.raises(
        NotFound, match=f"blob {sha256(layer[1])} of layer .* is not here any more.*load the image again"
    ):
        push(pusher, registry)

    assert "v1" not in registry.manifests


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_lost_blob_is_replaced_by_one_of_the_same_files(
    registry: Any, pusher: Any, shelf: Any, store: Any, origins: Any, is_verified: bool
) -> None:
    plain = b"one" * 1000
    layer, other = zipped(plain), gzip.compress(plain, compresslevel=1, mtime=7)
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    store.delete(sha256(layer[1]))
    form = Descriptor(media.OCI_LAYER_GZIP, store.put(other), len(other))
    seen = Origin.at(form, references.parse("elsewhere/x"), is_verified=is_verified)
    origins.add([(sha256(plain), seen)])

    if not is_verified:
        with pytest.raises(NotFound):
            push(pusher, registry)
        return
    push(pusher, registry)

    assert json.loads(registry.manifests["v1"].data)["layers"] == [form.to_json()]
    assert registry.blobs[form.digest] == other


def test_an_image_that_a_registry_has_keeps_its_plain_layers(registry: Any, pusher: Any, shelf: Any) -> None:
    image = shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER, b"plain", b"plain"))
    image.repo_digests = (f"elsewhere/x@{image.manifest}",)

    assert push(pusher, registry)[-1]["aux"]["Digest"] == image.manifest


def test_a_neighbours_blob_is_mounted(registry: Any, pusher: Any, shelf: Any) -> None:
    layer = zipped(b"shared")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    shelf.add(f"{registry.host}/other/app:v1", layer)
    push(pusher, registry)
    del registry.blobs[sha256(layer[1])]
    registry.mountable[NAME] = {sha256(layer[1])}

    told = push(pusher, registry, name="other/app")

    assert f"Mounted from {NAME}" in texts(told)


def test_a_mount_that_is_refused_becomes_an_upload(registry: Any, pusher: Any, shelf: Any) -> None:
    layer = zipped(b"shared")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    shelf.add(f"{registry.host}/other/app:v1", layer)
    push(pusher, registry)
    del registry.blobs[sha256(layer[1])]

    assert "Pushed" in texts(push(pusher, registry, name="other/app"))
    assert registry.blobs[sha256(layer[1])] == layer[1]


def test_a_broken_line_goes_on_where_it_broke(
    registry: Any, pusher: Any, shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = bytes(range(256)) * 8000
    monkeypatch.setattr(uploads, "PART_BYTES", 500_000)
    shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER_GZIP, blob, blob))
    registry.breaks_after = 700_000

    told = push(pusher, registry)

    assert registry.blobs[sha256(blob)] == blob
    assert "Pushed" in texts(told)
    uploaded = [upload for upload in registry.uploads if len(upload) == len(blob)]
    assert len(uploaded) == 1
    assert sum(1 for seen in registry.requests("/uploads/") if seen.method == "POST") == len(registry.uploads)


def test_an_upload_that_the_registry_forgot_begins_anew(registry: Any, pusher: Any, shelf: Any) -> None:
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))

    def forget(handler: Any) -> bool:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        return handler.refuse(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown")

    registry.misbehave("/uploads/0", forget, times=1)

    assert "Pushed" in texts(push(pusher, registry))


def test_b500_a_registry_that_stays_broken_is_named_with_what_was_tried(registry: Any, pusher: Any, shelf: Any) -> None:
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))
    registry.misbehave("/uploads/", lambda h: h.refuse(500, "UNKNOWN", "out of order"))
    began = time.monotonic()

    with pytest.raises(HoldfastError) as failure:
        push(pusher, registry)

    assert time.monotonic() - began < 10
    for word in (registry.host, "upload of blob sha256:", "4 attempts", "out of order"):
        assert word in failure.value.message
    assert "v1" not in registry.manifests


def test_wrong_digest_a_damaged_blob_is_named_and_leaves(registry: Any, pusher: Any, shelf: Any, store: Any) -> None:
    layer = zipped(b"one")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    with open(store.path(sha256(layer[1])), "r+b") as file:
        file.write(b"XX")

    with pytest.raises(Corrupt, match=f"{sha256(layer[1])} is damaged on disk: pull the image again"):
        push(pusher, registry)

    assert "v1" not in registry.manifests
    assert not store.has(sha256(layer[1]))


def test_wrong_digest_a_damaged_plain_layer_is_not_packed(registry: Any, pusher: Any, shelf: Any, store: Any) -> None:
    plain = b"one" * 1000
    shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER, plain, plain))
    with open(store.path(sha256(plain)), "r+b") as file:
        file.write(b"XX")

    with pytest.raises(Corrupt, match=f"{sha256(plain)} is damaged on disk"):
        push(pusher, registry)

    assert "v1" not in registry.manifests


def test_wrong_digest_a_registry_that_refuses_sound_bytes_is_heard(
    registry: Any, pusher: Any, shelf: Any, store: Any
) -> None:
    layer = zipped(b"one")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    registry.misbehave("digest=", lambda h: h.refuse(400, "DIGEST_INVALID", "did not match"))

    with pytest.raises(HoldfastError, match="did not match"):
        push(pusher, registry)

    assert store.has(sha256(layer[1]))


def cut_push(registry: Any, pusher: Any, shelf: Any, blob: bytes) -> None:
    """A push whose process dies after three parts."""
    shelf.add(f"{registry.host}/{NAME}:v1", (media.OCI_LAYER_GZIP, blob, blob))
    cancellation = Cancellation()

    def die(handler: Any) -> bool:
        if int(handler.headers.get("Content-Range", "0-0").partition("-")[0]) >= 1_500_000:
            cancellation.cancel()
        return False

    registry.misbehave("/uploads/", die)
    with pytest.raises(Cancelled):
        push(pusher, registry, cancellation=cancellation)
    registry.rules.clear()


def sent_bytes(registry: Any) -> int:
    uploads = registry.requests("/uploads/")
    return sum(int(seen.headers.get("content-length", "0")) for seen in uploads if seen.method in ("PATCH", "PUT"))


def test_a_push_of_the_next_daemon_goes_on_where_the_last_one_ended(
    registry: Any, pusher: Any, shelf: Any, store: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = bytes(range(256)) * 10_000
    monkeypatch.setattr(uploads, "PART_BYTES", 500_000)
    cut_push(registry, pusher, shelf, blob)
    registry.seen.clear()

    with made_pusher(store, shelf, database) as successor:
        told = push(successor, registry)

    assert registry.blobs[sha256(blob)] == blob
    assert "Pushed" in texts(told)
    assert sent_bytes(registry) <= len(blob) - 1_500_000 + 500
    assert database.items("uploads") == []


@pytest.mark.parametrize("status", [404, 400, 403])
def test_an_upload_forgotten_since_the_last_daemon_begins_anew(
    registry: Any, pusher: Any, shelf: Any, store: Any, database: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    blob = bytes(range(256)) * 10_000
    monkeypatch.setattr(uploads, "PART_BYTES", 500_000)
    cut_push(registry, pusher, shelf, blob)
    place = json.loads(database.items("uploads")[0][1])["location"].partition("/v2")[2]
    registry.misbehave(place, lambda h: h.refuse(status, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown"))

    with made_pusher(store, shelf, database) as successor:
        assert "Pushed" in texts(push(successor, registry))

    assert registry.blobs[sha256(blob)] == blob


def test_an_upload_that_still_has_its_old_line_is_waited_for(
    registry: Any, pusher: Any, shelf: Any, store: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = bytes(range(256)) * 10_000
    monkeypatch.setattr(uploads, "PART_BYTES", 500_000)
    cut_push(registry, pusher, shelf, blob)
    registry.seen.clear()
    registry.misbehave("/uploads/", lambda h: h.command == "GET" and h.refuse(409, "BLOB_UPLOAD_INVALID", "busy"), 2)

    with made_pusher(store, shelf, database) as successor:
        push(successor, registry)

    assert registry.blobs[sha256(blob)] == blob
    assert sent_bytes(registry) <= len(blob) - 1_500_000 + 500


def test_wrong_bytes_that_the_last_daemon_sent_are_sent_anew(
    registry: Any, pusher: Any, shelf: Any, store: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = bytes(range(256)) * 10_000
    monkeypatch.setattr(uploads, "PART_BYTES", 500_000)
    cut_push(registry, pusher, shelf, blob)
    registry.uploads[0][:10] = b"0123456789"

    with made_pusher(store, shelf, database) as successor:
        assert "Pushed" in texts(push(successor, registry))

    assert registry.blobs[sha256(blob)] == blob


def test_every_tag_goes_with_all_tags(registry: Any, pusher: Any, shelf: Any) -> None:
    for tag in ("b", "a"):
        shelf.add(f"{registry.host}/{NAME}:{tag}", zipped(tag.encode()))

    told = push(pusher, registry, suffix="")

    assert [message["aux"]["Tag"] for message in told if "aux" in message] == ["a", "b"]


def test_what_cannot_be_pushed_is_said_in_dockers_words(registry: Any, pusher: Any, shelf: Any) -> None:
    with pytest.raises(NotFound, match=f"An image does not exist locally with the tag: {registry.host}/{NAME}"):
        push(pusher, registry)
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))
    with pytest.raises(NotFound, match=f"tag does not exist: {registry.host}/{NAME}:v2"):
        push(pusher, registry, suffix=":v2")
    with pytest.raises(InvalidArgument, match="cannot push a digest reference"):
        push(pusher, registry, suffix="@sha256:" + "a" * 64)


def test_a_cancelled_push_ends_at_once(registry: Any, pusher: Any, shelf: Any) -> None:
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))
    registry.misbehave("/uploads/", lambda h: h.refuse(503, "UNKNOWN", "later", {"Retry-After": "3"}))
    cancellation = Cancellation()
    threading.Timer(0.3, cancellation.cancel).start()
    began = time.monotonic()

    with pytest.raises(Cancelled):
        push(pusher, registry, cancellation=cancellation)

    assert time.monotonic() - began < 3


def test_a_token_is_asked_for_with_push_and_for_the_mount(
    registry: Any, other_registry: Any, pusher: Any, shelf: Any
) -> None:
    """A token server of our own: grants what is asked, checks the password, and every request needs its token."""
    asked: list[str] = []

    def grant(handler: Any) -> bool:
        right = "Basic " + base64.b64encode(b"alice:canary").decode()
        if handler.headers.get("Authorization") != right:
            return handler.refuse(401, "UNAUTHORIZED", "who are you")
        asked.append(handler.path)
        return handler.reply(200, json.dumps({"token": f"t{len(asked)}", "expires_in": 300}).encode(), {})

    def guard(handler: Any) -> bool:
        if handler.path.startswith("/token") or handler.headers.get("Authorization", "").startswith("Bearer t"):
            return False
        handler.rfile.read(int(handler.headers.get("Content-Length", "0"))) if handler.command != "POST" else None
        realm = f'Bearer realm="http://{registry.host}/token",service="s",scope="repository:{NAME}:pull"'
        return handler.refuse(401, "UNAUTHORIZED", "token please", {"WWW-Authenticate": realm})

    registry.misbehave("/token", grant)
    registry.misbehave("/v2/", guard)
    layer = zipped(b"shared")
    shelf.add(f"{registry.host}/{NAME}:v1", layer)
    shelf.add(f"{registry.host}/other/app:v1", layer)
    who = Credentials(username="alice", password="canary")

    push(pusher, registry, credentials=who)
    del registry.blobs[sha256(layer[1])]
    push(pusher, registry, name="other/app", credentials=who)

    assert "push" in asked[0]
    assert any("other%2Fapp" in path and "team%2Fapp%3Apull" in path for path in asked)
    assert not any("canary" in seen.path for seen in registry.seen)


def test_redir_an_upload_elsewhere_gets_no_password(
    registry: Any, other_registry: Any, pusher: Any, shelf: Any
) -> None:
    shelf.add(f"{registry.host}/{NAME}:v1", zipped(b"one"))
    basic = 'Basic realm="x"'

    def guard(handler: Any) -> bool:
        if "Authorization" in handler.headers:
            return False
        return handler.refuse(401, "UNAUTHORIZED", "log in", {"WWW-Authenticate": basic})

    def elsewhere(handler: Any) -> bool:
        other_registry.uploads.append(bytearray())
        place = f"http://{other_registry.host}/v2/x/blobs/uploads/{len(other_registry.uploads) - 1}"
        return handler.reply(202, b"", {"Location": place})

    registry.misbehave("/uploads/", elsewhere)
    registry.misbehave("/v2/team", guard)

    push(pusher, registry, credentials=Credentials(username="alice", password="canary"))

    assert other_registry.seen
    assert not any("authorization" in seen.headers for seen in other_registry.seen)


def test_a_password_does_not_travel_over_plain_http() -> None:
    from holdfast.distribution.credentials import may_send

    assert not may_send("http://registry.example:5000", "http://registry.example:5000")
    assert may_send("http://127.0.0.1:5000", "http://127.0.0.1:5000")
