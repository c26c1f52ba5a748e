# SPDX-License-Identifier: Apache-2.0
"""Docker's multiplexed stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire import frames


def test_a_frame_is_stream_zeros_length_and_data():
    assert frames.encode(frames.STDERR, b"oops") == b"\x02\x00\x00\x00\x00\x00\x00\x04oops"


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=50))), st.integers(1, 20))
def test_pieces_survive_any_split(pieces, size):
    data = b"".join(frames.encode(stream, piece) for stream, piece in pieces)
    decoder, found = frames.Decoder(), []

    for start in range(0, len(data), size):
        found += decoder.feed(data[start : start + size])

    assert found == pieces
    assert decoder.is_clean


@pytest.mark.parametrize("data", [b"\x04\0\0\0\0\0\0\1a", b"\1\0\1\0\0\0\0\1a", b"plain text"])
def test_a_stream_without_frames_is_refused(data):
    with pytest.raises(ValueError, match="multiplexed"):
        list(frames.Decoder().feed(data))


def test_half_a_frame_is_not_clean():
    decoder = frames.Decoder()

    assert list(decoder.feed(frames.encode(1, b"abc")[:-1])) == []
    assert not decoder.is_clean
