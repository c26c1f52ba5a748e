# SPDX-License-Identifier: Apache-2.0
"""What is remembered of open uploads: for how long, for whom, and how much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import metadata
from holdfast.distribution import OpenUploads
from holdfast.distribution.open_uploads import BUCKET
from holdfast.oci import digest as digests

DIGEST = digests.of(b"layer")
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> metadata.Store:
    return metadata.Store(tmp_path / "metadata.db")


@pytest.fixture
def known(database: metadata.Store, clock: Clock) -> OpenUploads:
    return OpenUploads(database, clock)


def location(known: OpenUploads, repository: str = "http://r/v2/x") -> str:
    with known.claim(repository, DIGEST) as claim:
        return claim.location


def test_a_kept_upload_is_known_to_the_next_daemon_and_a_dropped_one_is_not(
    known: OpenUploads, database: metadata.Store
) -> None:
    with known.claim("http://r/v2/x", DIGEST) as claim:
        claim.keep("http://r/one")

    assert location(OpenUploads(database, Clock())) == "http://r/one"
    assert location(known, "http://r/v2/other") == ""

    with known.claim("http://r/v2/x", DIGEST) as claim:
        claim.drop()

    assert location(known) == ""


def test_of_two_pushes_of_one_blob_one_goes_on_with_it(known: OpenUploads) -> None:
    with known.claim("http://r/v2/x", DIGEST) as first:
        first.keep("http://r/one")
        with known.claim("http://r/v2/x", DIGEST) as second:
            assert second.location == ""
            second.keep("http://r/two")
            second.drop()

    assert location(known) == "http://r/one"


def test_a_week_later_nothing_is_known(known: OpenUploads, clock: Clock, database: metadata.Store) -> None:
    with known.claim("http://r/v2/x", DIGEST) as claim:
        claim.keep("http://r/one")
    clock.now += 8 * DAY

    assert location(known) == ""

    with known.claim("http://r/v2/y", DIGEST) as claim:
        claim.keep("http://r/two")

    assert len(database.items(BUCKET)) == 1


def test_the_oldest_are_forgotten_when_there_are_many(
    known: OpenUploads, clock: Clock, database: metadata.Store
) -> None:
    for number in range(300):
        clock.now += 1
        with known.claim(f"http://r/v2/{number}", DIGEST) as claim:
            claim.keep("http://r/one")

    assert len(database.items(BUCKET)) <= 257
    assert location(known, "http://r/v2/0") == ""
    assert location(known, "http://r/v2/299") == "http://r/one"


def test_a_damaged_record_is_no_upload(known: OpenUploads, database: metadata.Store) -> None:
    with database.transaction() as transaction:
        transaction.put(BUCKET, f"http://r/v2/x@{DIGEST}", b"[")

    assert location(known) == ""
