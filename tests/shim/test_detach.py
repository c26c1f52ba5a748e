# SPDX-License-Identifier: Apache-2.0
"""Finding the detach keys in what is typed."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.shim.detach import DetachScanner


def test_the_keys_end_the_stream_and_are_not_passed_on():
    assert DetachScanner(b"\x10\x11").feed(b"ls\n\x10\x11more") == (b"ls\n", True)


def test_keys_in_pieces_are_found():
    scanner = DetachScanner(b"\x10\x11")

    assert scanner.feed(b"a\x10") == (b"a", False)
    assert scanner.feed(b"\x11b") == (b"", True)


def test_a_broken_sequence_is_passed_on_whole():
    scanner = DetachScanner(b"\x10\x11")

    assert scanner.feed(b"\x10") == (b"", False)
    assert scanner.feed(b"x") == (b"\x10x", False)


def test_a_sequence_that_begins_within_a_broken_one_is_found():
    scanner = DetachScanner(b"aab")

    assert scanner.feed(b"aa") == (b"", False)
    assert scanner.feed(b"a") == (b"a", False)
    assert scanner.feed(b"b") == (b"", True)


def test_without_keys_everything_passes():
    assert DetachScanner(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


@given(
    st.lists(st.text("ab", max_size=4).map(str.encode), max_size=10),
    st.text("ab", min_size=1, max_size=3).map(str.encode),
)
def test_pieces_give_what_the_whole_gives(pieces: list[bytes], keys: bytes):
    scanner = DetachScanner(keys)
    passed, is_detached = b"", False
    for piece in pieces:
        more, is_detached = scanner.feed(piece)
        passed += more
        if is_detached:
            break

    typed = b"".join(pieces)
    assert is_detached == (keys in typed)
    if is_detached:
        assert passed == typed[: typed.find(keys)]
    else:
        assert typed.startswith(passed)
        assert keys.startswith(typed[len(passed) :])
