# SPDX-License-Identifier: Apache-2.0
"""Only a well-formed digest ever becomes part of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument
from holdfast.oci import digest

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_digest_of_nothing() -> None:
    assert digest.of(b"") == EMPTY
    assert digest.encoded(digest.of(b"")) == EMPTY[7:]
    assert digest.short(digest.of(b"")) == "e3b0c44298fc"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:../../x",
        EMPTY.upper(),
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY + "\n",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:" + "٣" * 64,
    ],
)
def test_baddigest_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        digest.parse(text)

    assert not digest.is_digest(text)


@given(st.lists(st.binary(max_size=100)))
def test_hashing_in_pieces_is_hashing_the_whole(pieces: list[bytes]) -> None:
    hasher = digest.Hasher()
    for piece in pieces:
        hasher.update(piece)

    assert hasher.digest() == digest.of(b"".join(pieces))


def test_chain_ids_are_folded_from_the_base() -> None:
    a, b = digest.of(b"a"), digest.of(b"b")

    assert digest.chains([a, b]) == [a, digest.of(f"{a} {b}".encode())]
