# SPDX-License-Identifier: Apache-2.0
"""Garbage collection beside pushes: what is needed or on its way stays."""

from __future__ import annotations

import threading
from typing import Any

from holdfast.registry.collect import collect

NOW = -1.0
"""No grace at all: every unused link is stale."""


def blobs(running: Any) -> set[str]:
    return set(running.registry.store.iter())


def test_what_a_manifest_needs_stays_and_the_rest_goes_after_the_grace(running: Any, client: Any) -> None:
    digest, manifest = client.put_image("x", "v1", b"layer")
    lost = client.put_blob("x", b"nobody's")
    registry = running.registry

    assert collect(registry.store, registry.catalogue) == []
    assert collect(registry.store, registry.catalogue, NOW) == [lost]
    assert blobs(running) == {digest, manifest["config"]["digest"], manifest["layers"][0]["digest"]}
    assert client.ask("GET", f"/v2/x/blobs/{lost}").code == "BLOB_UNKNOWN"


def test_a_deleted_image_goes_and_a_shared_layer_stays(running: Any, client: Any) -> None:
    first, _ = client.put_image("x", "v1", b"shared", b"own")
    second, manifest = client.put_image("y", "v1", b"shared")
    registry = running.registry
    client.ask("DELETE", f"/v2/x/manifests/{first}")

    collect(registry.store, registry.catalogue, NOW)

    assert blobs(running) == {second, manifest["config"]["digest"], manifest["layers"][0]["digest"]}


def test_asking_for_a_blob_renews_its_grace(running: Any, client: Any) -> None:
    lost = client.put_blob("x", b"kept for a moment")
    catalogue = running.registry.catalogue

    with catalogue._lock:
        catalogue._repositories["x"].blobs[lost] -= 1000
    client.ask("HEAD", f"/v2/x/blobs/{lost}")

    assert collect(running.registry.store, catalogue, 500) == []


def test_pushes_never_lose_a_blob_to_collections_that_run_all_the_time(running: Any, client: Any) -> None:
    registry, stop, rounds = running.registry, threading.Event(), []

    def sweep() -> None:
        while not stop.is_set():
            rounds.append(collect(registry.store, registry.catalogue, 60))

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(25):
            _, manifest = client.put_image("x", "v1", b"shared", f"layer {number}".encode())
            for layer in manifest["layers"]:
                assert client.ask("HEAD", f"/v2/x/blobs/{layer['digest']}").status == 200
    finally:
        stop.set()
        sweeper.join()
    assert rounds


def test_an_idle_upload_expires(running: Any, client: Any) -> None:
    place = client.begin("x")

    assert running.registry.sessions.expire(idle_seconds=-1) == 1
    assert client.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"


def test_nothing_is_collected_while_records_are_damaged(start: Any) -> None:
    before = start()
    digest, _ = before.client.put_image("x", "v1", b"layer")
    with before.registry._records.transaction() as transaction:
        transaction.put("manifests", f"x@{digest}", b"not json")
    kept = set(before.registry.store.iter())
    before.close()

    after = start().registry

    assert collect(after.store, after.catalogue, NOW) == []
    assert set(after.store.iter()) == kept
