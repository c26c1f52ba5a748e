# SPDX-License-Identifier: Apache-2.0
"""The pull-through cache in front of another of our registries."""

from __future__ import annotations

import http.client
import os
import threading
import time
from typing import Any

import pytest

LAYER = os.urandom(3_000_000)


@pytest.fixture
def origin(start: Any) -> Any:
    return start("--delete", root="origin")


@pytest.fixture
def cache(start: Any, origin: Any) -> Any:
    return start("--proxy", f"http://127.0.0.1:{origin.client.port}", root="cache")


def test_what_was_pulled_once_is_here_when_upstream_is_away(origin: Any, cache: Any) -> None:
    digest, manifest = origin.client.put_image("team/app", "v1", LAYER)
    layer = manifest["layers"][0]["digest"]

    first = cache.client.ask("GET", "/v2/team/app/manifests/v1")
    blob = cache.client.ask("GET", f"/v2/team/app/blobs/{layer}")
    origin.close()

    assert (first.status, first.headers["docker-content-digest"]) == (200, digest)
    assert (blob.status, blob.body) == (200, LAYER)
    for _ in range(100):
        if cache.registry.store.has(layer):
            break
        time.sleep(0.02)
    assert cache.client.ask("GET", f"/v2/team/app/blobs/{layer}").body == LAYER
    assert cache.client.ask("GET", f"/v2/team/app/blobs/{layer}", Range="bytes=5-9").body == LAYER[5:10]
    assert cache.client.ask("GET", f"/v2/team/app/manifests/{digest}").json == manifest


def test_a_moved_tag_is_noticed(origin: Any, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.registry import cache as cache_module

    monkeypatch.setattr(cache_module, "_FRESH_SECONDS", 0.0)
    origin.client.put_image("x", "v1", b"old")
    cache.client.ask("GET", "/v2/x/manifests/v1")
    digest, _ = origin.client.put_image("x", "v1", b"new")

    assert cache.client.ask("HEAD", "/v2/x/manifests/v1").headers["docker-content-digest"] == digest


def test_many_clients_cost_upstream_one_download(origin: Any, cache: Any) -> None:
    _, manifest = origin.client.put_image("x", "v1", LAYER)
    layer = manifest["layers"][0]["digest"]
    served: list[str] = []
    blobs = origin.registry.server._router._blobs
    get = blobs.get
    blobs.get = lambda request, *rest: (served.append(request.method), get(request, *rest))[1]
    bodies: list[bytes] = []

    clients = [
        threading.Thread(target=lambda: bodies.append(cache.client.ask("GET", f"/v2/x/blobs/{layer}").body))
        for _ in range(8)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert bodies == [LAYER] * 8
    assert served.count("GET") == 1


def test_a_bad_blob_from_upstream_never_arrives_whole(origin: Any, cache: Any) -> None:
    _, manifest = origin.client.put_image("x", "v1", LAYER)
    layer = manifest["layers"][0]["digest"]
    with open(origin.registry.store.path(layer), "r+b") as file:
        file.write(b"spoilt")

    try:
        body = cache.client.ask("GET", f"/v2/x/blobs/{layer}").body
    except OSError:
        body = b""
    except http.client.IncompleteRead as cut:
        body = cut.partial

    assert len(body) < len(LAYER)
    assert not cache.registry.store.has(layer)


def test_what_upstream_has_not_got(origin: Any, cache: Any) -> None:
    assert cache.client.ask("GET", "/v2/x/manifests/nosuch").code == "MANIFEST_UNKNOWN"
    assert cache.client.ask("GET", "/v2/x/blobs/sha256:" + "0" * 64).code == "BLOB_UNKNOWN"
    assert cache.client.ask("POST", "/v2/x/blobs/uploads/").code == "UNSUPPORTED"


def test_tags_are_upstreams(origin: Any, cache: Any) -> None:
    origin.client.put_image("x", "b", b"layer")
    origin.client.put_image("x", "a", b"layer")

    assert cache.client.ask("GET", "/v2/x/tags/list").json == {"name": "x", "tags": ["a", "b"]}
