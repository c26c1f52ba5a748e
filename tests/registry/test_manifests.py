# SPDX-License-Identifier: Apache-2.0
"""Manifests, tags, catalogue and referrers; what a manifest must be to be taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.oci import media

EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "4" * 64, "size": 2}


def put(client: Any, name: str, tag: str, document: Any, media_type: str = media.OCI_MANIFEST) -> Any:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.ask("PUT", f"/v2/{name}/manifests/{tag}", data, Content_Type=media_type)


def test_a_manifest_comes_back_byte_for_byte_by_tag_and_digest(client: Any) -> None:
    digest, manifest = client.put_image("team/app", "v1", b"layer")

    for reference in ("v1", digest):
        got = client.ask("GET", f"/v2/team/app/manifests/{reference}")
        assert (got.status, got.json) == (200, manifest)
        assert got.headers["content-type"] == media.OCI_MANIFEST
        assert got.headers["docker-content-digest"] == digest
        head = client.ask("HEAD", f"/v2/team/app/manifests/{reference}")
        assert (head.status, head.headers["content-length"]) == (200, str(len(got.body)))
    assert client.ask("GET", "/v2/team/app/manifests/v1", If_None_Match=f'"{digest}"').status == 304


def test_an_index_names_manifests_that_are_there(client: Any) -> None:
    digest, _ = client.put_image("x", "", b"layer")
    entry = {"mediaType": media.OCI_MANIFEST, "digest": digest, "size": 10}
    missing = {**entry, "digest": "sha256:" + "1" * 64}
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX}

    good = put(client, "x", "all", {**index, "manifests": [entry]}, media.OCI_INDEX)
    bad = put(client, "x", "bad", {**index, "manifests": [entry, missing]}, media.OCI_INDEX)

    assert good.status == 201
    assert (bad.status, bad.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert client.ask("GET", "/v2/x/tags/list").json["tags"] == ["all"]


def test_a_manifest_whose_blobs_are_elsewhere_is_refused(client: Any) -> None:
    _, manifest = client.put_image("here", "v1", b"layer")

    reply = put(client, "there", "v1", manifest)

    assert (reply.status, reply.code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_confused_a_manifest_with_layers_and_manifests_is_refused(client: Any) -> None:
    _, manifest = client.put_image("x", "v1", b"layer")

    reply = put(client, "x", "v2", {**manifest, "manifests": []})

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (b"{", media.OCI_MANIFEST),
        (b"[]", media.OCI_MANIFEST),
        (b"[" * 100_000, media.OCI_MANIFEST),
        (b'{"schemaVersion":1}', media.OCI_MANIFEST),
        (b'{"schemaVersion":2,"manifests":[]}', "text/html"),
        (json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": []}).encode(), media.DOCKER_LIST),
        (
            b'{"schemaVersion":2,"config":{"digest":"sha256:../../x","size":1,"mediaType":"x"},"layers":[]}',
            media.OCI_MANIFEST,
        ),
    ],
)
def test_what_is_no_manifest_is_refused(client: Any, document: bytes, media_type: str) -> None:
    reply = put(client, "x", "v1", document, media_type)

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


def test_huge_a_manifest_above_four_mebibytes_is_not_read(client: Any) -> None:
    reply = put(client, "x", "v1", b" " * (5 << 20))

    assert (reply.status, reply.code) == (413, "SIZE_INVALID")


def test_wrong_digest_of_a_manifest_is_refused(client: Any) -> None:
    _, manifest = client.put_image("x", "v1", b"layer")

    reply = put(client, "x", "sha256:" + "0" * 64, manifest)

    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


def test_tags_come_in_pages(client: Any) -> None:
    for tag in ("c", "a", "b", "e", "d"):
        client.put_image("x", tag, b"layer")

    everything = client.ask("GET", "/v2/x/tags/list").json
    first = client.ask("GET", "/v2/x/tags/list?n=2")
    second = client.ask("GET", first.headers["link"].partition(">")[0][1:])

    assert everything == {"name": "x", "tags": ["a", "b", "c", "d", "e"]}
    assert first.json["tags"] == ["a", "b"]
    assert second.json["tags"] == ["c", "d"]
    assert client.ask("GET", "/v2/nosuch/tags/list").code == "NAME_UNKNOWN"


def test_the_catalogue_is_bounded(client: Any) -> None:
    for name in ("b/x", "a", "c"):
        client.put_image(name, "v1", b"layer")

    first = client.ask("GET", "/v2/_catalog?n=2")
    second = client.ask("GET", first.headers["link"].partition(">")[0][1:])

    assert first.json == {"repositories": ["a", "b/x"]}
    assert second.json == {"repositories": ["c"]}
    for count in ("2147483647", "1001", "-1", "x", "1e3"):
        assert client.ask("GET", f"/v2/_catalog?n={count}").code == "PAGINATION_NUMBER_INVALID"


def test_referrers_are_listed_and_filtered(client: Any) -> None:
    digest, manifest = client.put_image("x", "v1", b"layer")
    subject = {"mediaType": media.OCI_MANIFEST, "digest": digest, "size": len(json.dumps(manifest))}
    for kind in ("sig/1", "sbom/1"):
        client.put_image("x", "", kind.encode(), subject=subject, artifactType=kind, annotations={"kind": kind})

    every = client.ask("GET", f"/v2/x/referrers/{digest}")
    some = client.ask("GET", f"/v2/x/referrers/{digest}?artifactType=sig/1")
    none = client.ask("GET", "/v2/x/referrers/sha256:" + "0" * 64)

    assert every.headers["content-type"] == media.OCI_INDEX
    assert {entry["artifactType"] for entry in every.json["manifests"]} == {"sig/1", "sbom/1"}
    assert [entry["annotations"] for entry in some.json["manifests"]] == [{"kind": "sig/1"}]
    assert some.headers["oci-filters-applied"] == "artifactType"
    assert (none.status, none.json["manifests"]) == (200, [])


def test_a_subject_is_acknowledged_before_it_is_there(client: Any) -> None:
    _, manifest = client.put_image("x", "v1", b"layer")
    subject = {"mediaType": media.OCI_MANIFEST, "digest": "sha256:" + "9" * 64, "size": 1}

    reply = put(client, "x", "v2", {**manifest, "subject": subject})

    assert (reply.status, reply.headers["oci-subject"]) == (201, subject["digest"])


def test_deleting_a_tag_and_a_manifest(client: Any) -> None:
    digest, manifest = client.put_image("x", "v1", b"layer")
    put(client, "x", "v2", manifest)

    assert client.ask("DELETE", "/v2/x/manifests/v1").status == 202
    assert client.ask("GET", "/v2/x/tags/list").json["tags"] == ["v2"]
    assert client.ask("DELETE", f"/v2/x/manifests/{digest}").status == 202
    assert client.ask("GET", "/v2/x/manifests/v2").code == "MANIFEST_UNKNOWN"
    assert client.ask("DELETE", f"/v2/x/manifests/{digest}").code == "MANIFEST_UNKNOWN"


def test_everything_is_there_after_a_restart(start: Any) -> None:
    before = start()
    _, manifest = before.client.put_image("x", "v1", b"layer")
    before.close()

    client = start().client

    assert client.ask("GET", "/v2/x/manifests/v1").json == manifest
    assert client.ask("GET", f"/v2/x/blobs/{manifest['layers'][0]['digest']}").body == b"layer"
    assert client.ask("GET", "/v2/_catalog").json == {"repositories": ["x"]}
