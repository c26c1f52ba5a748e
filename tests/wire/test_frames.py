# SPDX-License-Identifier: Apache-2.0
"""Docker's multiplexed stream."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire import frames


def test_a_frame_is_stream_zeros_length_and_data():
    assert frames.encode(frames.STDERR, b"oops") == b"\x02\x00\x00\x00\x00\x00\x00\x04oops"


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=8), st.integers(1, 7))
def test_frames_come_apart_however_they_are_cut(pieces: list[tuple[int, bytes]], step: int) -> None:
    wire = b"".join(frames.encode(stream, data) for stream, data in pieces)
    demultiplexer = frames.Demultiplexer()
    outputs = {1: b"", 2: b""}

    for start in range(0, len(wire), step):
        for stream, data in demultiplexer.feed(wire[start : start + step]):
            outputs[stream] += data

    for stream in (1, 2):
        assert outputs[stream] == b"".join(data for named, data in pieces if named == stream)


def test_a_piece_is_passed_on_before_its_frame_has_ended():
    found = list(frames.Demultiplexer().feed(frames.encode(frames.STDOUT, b"abc")[:-1]))

    assert found == [(frames.STDOUT, b"ab")]
