# SPDX-License-Identifier: Apache-2.0
"""Text and times as Docker's json-file driver writes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.logs.escape import Clock, escape


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"plain", b"plain"),
        (b'say "hi" \\ there', b'say \\"hi\\" \\\\ there'),
        (b"tab\there\r", b"tab\\u0009here\\r"),
        (b"\x00\x1b[0m\x7f", b"\\u0000\\u001b[0m\x7f"),
        (b"<a&b>", b"\\u003ca\\u0026b\\u003e"),
        ("grün ☃ \ufffd".encode(), "grün ☃ \ufffd".encode()),
        ("a\u2028b\u2029".encode(), b"a\\u2028b\\u2029"),
        (b"bad \xff\xe2\x82 end", b"bad \\ufffd\\ufffd\\ufffd end"),
        (b"\xed\xa0\x80", b"\\ufffd\\ufffd\\ufffd"),
    ],
)
def test_text_is_written_as_dockerd_writes_it(text: bytes, written: bytes):
    assert escape(text) == written


@given(st.text(alphabet=st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_what_is_escaped_reads_back(text: str):
    assert json.loads(b'"' + escape(text.encode()) + b'"') == text


@given(st.binary())
def test_any_bytes_become_valid_json(data: bytes):
    json.loads(b'"' + escape(data).replace(b"\n", b"\\n") + b'"')


def test_times_have_no_trailing_zeros():
    clock = Clock()

    assert clock.render(1_700_000_000_000_000_000) == b"2023-11-14T22:13:20Z"
    assert clock.render(1_700_000_000_120_000_000) == b"2023-11-14T22:13:20.12Z"
    assert clock.render(1_700_000_001_000_000_001) == b"2023-11-14T22:13:21.000000001Z"


def _plainly(text: bytes) -> bytes:
    """One character after the other, as the documentation says it."""
    short = {"\n": "\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    written: list[str] = []
    for character in text.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            written.append("\\ufffd")
        elif character in short:
            written.append(short[character])
        elif character < " " or character in "<>&\u2028\u2029":
            written.append(f"\\u{ord(character):04x}")
        else:
            written.append(character)
    return "".join(written).encode()


@given(
    st.one_of(
        st.binary(max_size=600),
        st.binary(max_size=40).map(lambda tail: bytes(range(256)) + "\u2028?\ud7ff".encode() + tail),
    )
)
def test_the_ways_for_text_and_for_binary_output_agree(data: bytes):
    assert escape(data) == _plainly(data)
