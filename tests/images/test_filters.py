# SPDX-License-Identifier: Apache-2.0
"""Which images a list shows."""

import pytest

from holdfast.errors import InvalidArgument
from holdfast.images.filters import Filters, select
from holdfast.images.image import Image, seconds_of
from holdfast.oci import digest
from holdfast.oci.image import ImageConfig, RunConfig


def image(*tags: str, created: str = "2024-01-01T00:00:00Z", **labels: str) -> Image:
    return Image(
        id=digest.of(repr(tags).encode()),
        manifest=digest.of(b""),
        config=ImageConfig(created=created, config=RunConfig(labels=labels)),
        raw_config=b"",
        blobs=(),
        chain_id=None,
        repo_tags=tags,
        repo_digests=(),
        size=0,
        parent="",
        tagged_nanos=0,
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("alpine", ["alpine:1", "alpine:2"]),
        ("alpine:2", ["alpine:2"]),
        ("al*", ["alpine:1", "alpine:2"]),
        ("*", ["alpine:1", "alpine:2"]),
        ("*/*", ["team/app:1"]),
        ("team/a?p", ["team/app:1"]),
        ("[a-b]lpine", ["alpine:1", "alpine:2"]),
        ("[^a]lpine", []),
        ("*:1", ["alpine:1"]),
    ],
)
def test_references_match_as_gos_path_match(pattern: str, expected: list[str]) -> None:
    found = select([image("alpine:1", "alpine:2"), image("team/app:1")], Filters(references=(pattern,)))

    assert [tag for each in found for tag in each.repo_tags] == expected


@pytest.mark.parametrize("pattern", ["[", "a[b", "[]", "[z-a]"])
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="pattern"):
        select([image("a:1")], Filters(references=(pattern,)))


def test_labels_all_hold() -> None:
    one, two = image("one:1", k="v", x=""), image("two:1", k="w")

    assert select([one, two], Filters(labels=("k",))) == [one, two]
    assert select([one, two], Filters(labels=("k=v", "x"))) == [one]
    assert select([one, two], Filters(labels_not=("k=v",))) == [two]


def test_dangling_images_have_no_name() -> None:
    named, nameless = image("a:1"), image()

    assert select([named, nameless], Filters(dangling=True)) == [nameless]
    assert select([named, nameless], Filters(dangling=False)) == [named]


def test_times_are_compared() -> None:
    old, new = image("o:1", created="2020-01-01T00:00:00Z"), image("n:1", created="2024-01-01T00:00:00.5+01:00")
    bit_newer = image("b:1", created="2024-01-01T00:00:00.500000001+01:00")

    assert select([old, new, bit_newer], Filters(before_nanos=bit_newer.created_nanos)) == [old, new]
    assert select([old, new, bit_newer], Filters(since_nanos=new.created_nanos)) == [bit_newer]
    assert select([old, new], Filters(since_nanos=old.created_nanos, before_nanos=new.created_nanos)) == []


def test_an_image_that_says_no_time_is_neither_older_nor_newer() -> None:
    timeless = image("t:1", created="")

    assert select([timeless], Filters()) == [timeless]
    assert select([timeless], Filters(before_nanos=1 << 62)) == []
    assert select([timeless], Filters(since_nanos=-1)) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("nonsense", 0),
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T01:00:00.123456789+01:00", 0),
        ("0001-01-01T00:00:00Z", -62135596800),
    ],
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
