# SPDX-License-Identifier: Apache-2.0
"""Blobs: reading whole and in parts, uploads in every form, and what hostile clients try."""

from __future__ import annotations

import hashlib
import http.client
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.registry.blobs import plan_range
from holdfast.registry.refusals import Refusal

DATA = bytes(range(256)) * 40
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
UNKNOWN = "sha256:" + "0" * 64


def test_a_blob_comes_back_as_it_went_in(client: Any) -> None:
    digest = client.put_blob("team/app", DATA)

    got = client.ask("GET", f"/v2/team/app/blobs/{digest}")
    head = client.ask("HEAD", f"/v2/team/app/blobs/{digest}")

    assert (got.status, got.body) == (200, DATA)
    assert got.headers["docker-content-digest"] == digest
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(DATA)), b"")


def test_a_blob_is_seen_only_in_the_repositories_that_have_it(client: Any) -> None:
    digest = client.put_blob("mine", DATA)

    assert client.ask("GET", f"/v2/yours/blobs/{digest}").code == "BLOB_UNKNOWN"


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=10-", 206, DATA[10:]),
        ("bytes=-10", 206, DATA[-10:]),
        ("bytes=100-999999999", 206, DATA[100:]),
        ("bytes=5-4", 200, DATA),
        ("lines=1-2", 200, DATA),
        ("bytes=0-1,5-6", 200, DATA),
    ],
)
def test_ranges(client: Any, given: str, status: int, expected: bytes) -> None:
    digest = client.put_blob("x", DATA)

    reply = client.ask("GET", f"/v2/x/blobs/{digest}", Range=given)

    assert (reply.status, reply.body) == (status, expected)


def test_a_range_behind_the_end_is_416_with_the_size(client: Any) -> None:
    digest = client.put_blob("x", DATA)

    reply = client.ask("GET", f"/v2/x/blobs/{digest}", Range=f"bytes={len(DATA)}-")

    assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


def test_a_client_that_has_the_blob_gets_304(client: Any) -> None:
    digest = client.put_blob("x", DATA)

    reply = client.ask("GET", f"/v2/x/blobs/{digest}", If_None_Match=f'"{digest}"')

    assert (reply.status, reply.body) == (304, b"")
    assert client.ask("GET", f"/v2/x/blobs/{digest}", Range="bytes=0-1", If_Range='"other"').status == 200


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_range_header_leads_outside(header: str, size: int) -> None:
    try:
        planned = plan_range(header, size)
    except Refusal:
        return
    assert planned is None or (planned[0] >= 0 and planned[1] > 0 and sum(planned) <= size)


def test_an_upload_in_chunks_goes_on_where_it_is(client: Any) -> None:
    place = client.begin("x")

    first = client.ask("PATCH", place, DATA[:1000], Content_Range="0-999")
    status = client.ask("GET", first.headers["location"])
    second = client.ask("PATCH", place, DATA[1000:], Content_Range=f"1000-{len(DATA) - 1}")
    done = client.ask("PUT", f"{place}?digest={DIGEST}")

    assert (first.status, first.headers["range"]) == (202, "0-999")
    assert (status.status, status.headers["range"]) == (204, "0-999")
    assert (second.status, done.status) == (202, 201)
    assert done.headers["location"] == f"/v2/x/blobs/{DIGEST}"
    assert client.ask("GET", f"/v2/x/blobs/{DIGEST}").body == DATA


def test_a_chunk_out_of_order_is_416_and_says_where_the_upload_is(client: Any) -> None:
    place = client.begin("x")
    client.ask("PATCH", place, DATA[:1000], Content_Range="0-999")

    again = client.ask("PATCH", place, DATA[:1000], Content_Range="0-999")
    gap = client.ask("PATCH", place, DATA[1001:1101], Content_Range="1001-1100")

    assert (again.status, again.headers["range"]) == (416, "0-999")
    assert gap.status == 416
    rest = client.ask("PUT", f"{place}?digest={DIGEST}", DATA[1000:], Content_Range=f"1000-{len(DATA) - 1}")
    assert rest.status == 201


def test_a_whole_blob_in_one_post(client: Any) -> None:
    assert client.ask("POST", f"/v2/x/blobs/uploads/?digest={DIGEST}", DATA).status == 201
    assert client.ask("GET", f"/v2/x/blobs/{DIGEST}").body == DATA


def test_a_body_in_http_chunks(client: Any) -> None:
    place = client.begin("x")
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
    connection.request("PUT", f"{place}?digest={DIGEST}", iter([DATA[:5000], DATA[5000:]]), encode_chunked=True)

    assert connection.getresponse().status == 201
    connection.close()


def test_sha512_is_a_digest_too(client: Any) -> None:
    digest = "sha512:" + hashlib.sha512(DATA).hexdigest()

    assert client.ask("PUT", f"{client.begin('x')}?digest={digest}", DATA).status == 201
    assert client.ask("GET", f"/v2/x/blobs/{digest}").body == DATA


def test_wrong_digest_is_refused_and_leaves_nothing(running: Any, client: Any) -> None:
    place = client.begin("x")

    reply = client.ask("PUT", f"{place}?digest={UNKNOWN}", DATA)

    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    assert client.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"
    assert list(running.registry.store.iter()) == []
    assert os.listdir(f"{running.options.root}/content/ingest") == []


def test_a_mount_needs_no_bytes(client: Any) -> None:
    digest = client.put_blob("here", DATA)

    mounted = client.ask("POST", f"/v2/there/blobs/uploads/?mount={digest}&from=here")
    unknown = client.ask("POST", f"/v2/there/blobs/uploads/?mount={UNKNOWN}&from=here")
    elsewhere = client.ask("POST", f"/v2/there/blobs/uploads/?mount={digest}&from=nowhere")

    assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/there/blobs/{digest}")
    assert (unknown.status, elsewhere.status) == (202, 202)
    assert client.ask("GET", f"/v2/there/blobs/{digest}").body == DATA


def test_a_cancelled_upload_is_gone(running: Any, client: Any) -> None:
    place = client.begin("x")
    client.ask("PATCH", place, DATA)

    assert client.ask("DELETE", place).status == 204
    assert client.ask("PATCH", place, DATA).code == "BLOB_UPLOAD_UNKNOWN"
    assert os.listdir(f"{running.options.root}/content/ingest") == []


def test_an_upload_belongs_to_its_repository(client: Any) -> None:
    place = client.begin("mine")

    assert client.ask("PATCH", place.replace("/mine/", "/yours/"), DATA).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/x/blobs/sha256:../../../etc/passwd", "NAME_UNKNOWN"),
        ("/v2/x/blobs/sha256:..%2f..%2fetc%2fpasswd", "NAME_UNKNOWN"),
        ("/v2/x/blobs/sha256:" + "A" * 64, "DIGEST_INVALID"),
        ("/v2/x/blobs/md5:" + "0" * 32, "DIGEST_INVALID"),
        ("/v2/x/blobs/sha256:" + "0" * 63, "DIGEST_INVALID"),
        ("/v2/../x/blobs/" + UNKNOWN, "NAME_INVALID"),
        ("/v2/%2e%2e/x/blobs/" + UNKNOWN, "NAME_INVALID"),
        ("/v2/X/blobs/" + UNKNOWN, "NAME_INVALID"),
        ("/v2/" + "a" * 300 + "/blobs/" + UNKNOWN, "NAME_INVALID"),
        ("/v2/x/blobs/uploads/../../secret", "NAME_UNKNOWN"),
        ("/etc/passwd", "NAME_UNKNOWN"),
        ("/v2/x%00y/blobs/" + UNKNOWN, "NAME_INVALID"),
    ],
)
def test_digest_and_path_traversal(client: Any, path: str, code: str) -> None:
    assert client.ask("GET", path).code == code


def test_deletion_takes_the_blob_from_one_repository(client: Any) -> None:
    digest = client.put_blob("one", DATA)
    client.put_blob("two", DATA)

    assert client.ask("DELETE", f"/v2/one/blobs/{digest}").status == 202
    assert client.ask("GET", f"/v2/one/blobs/{digest}").status == 404
    assert client.ask("GET", f"/v2/two/blobs/{digest}").status == 200


def test_without_the_flag_nothing_is_deleted(start: Any) -> None:
    client = start().client
    digest = client.put_blob("x", DATA)

    reply = client.ask("DELETE", f"/v2/x/blobs/{digest}")

    assert (reply.status, reply.code) == (405, "UNSUPPORTED")
