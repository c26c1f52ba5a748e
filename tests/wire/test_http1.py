# SPDX-License-Identifier: Apache-2.0
"""The request reader, on byte literals, on random splits, and beside h11."""

import contextlib

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.wire import http1
from holdfast.wire.http1 import ProtocolError, RequestReader

GET = b"GET /v1.51/info?a=1 HTTP/1.1\r\nHost: d\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"


def read_all(data: bytes, sizes: list[int] | None = None) -> list[tuple[str, str, bytes]]:
    """Every request in the bytes, fed in pieces of the given sizes, then the end."""
    pieces = []
    for size in sizes or []:
        pieces.append(data[:size])
        data = data[size:]
    pieces = [piece for piece in [*pieces, data] if piece]
    pieces.append(b"")
    reader, found = RequestReader(), []
    while True:
        try:
            while (head := reader.next_head()) is None:
                reader.feed(pieces.pop(0))
        except EOFError:
            return found
        body = b""
        while (part := reader.next_data()) != b"":
            if part is None:
                reader.feed(pieces.pop(0))
            else:
                body += part
        found.append((head.method, head.target, body))


def refusal(data: bytes) -> int:
    with pytest.raises(ProtocolError) as caught:
        read_all(data)
    return caught.value.status


def test_requests_follow_each_other_on_one_connection():
    assert read_all(GET + POST + GET) == [
        ("GET", "/v1.51/info?a=1", b""),
        ("POST", "/x", b"hello"),
        ("GET", "/v1.51/info?a=1", b""),
    ]


def test_chunks_are_joined_and_extensions_and_trailers_are_dropped():
    body = b"5;x=y\r\nhello\r\n6 \r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"

    assert read_all(CHUNKED + body + GET)[0] == ("POST", "/x", b"hello world")


@given(st.lists(st.integers(1, 40), max_size=40))
def test_any_split_gives_the_same_requests(sizes):
    data = GET + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + POST

    assert read_all(data, sizes) == read_all(data)


def test_bytes_behind_an_upgrade_request_stay_available():
    reader = RequestReader()
    reader.feed(b"POST /exec/1/start HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}stdin")

    assert reader.next_head() is not None
    assert reader.next_data() == b"{}"
    assert reader.next_data() == b""
    assert reader.take_rest() == b"stdin"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\rHost: a\r\r", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /info% HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET info HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 400),
        (b"GET / HTTP/1.1\r\nHost: a", 400),
        (CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n", 400),
        (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"-1\r\n\r\n", 400),
        (CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400),
        (CHUNKED + b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n", 400),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70000, 431),
    ],
)
def test_doubtful_requests_are_refused(data, status):
    assert refusal(data) == status


@pytest.mark.parametrize(
    "data", [b"GET /info HTTP/1.0\r\n\n", b"GET /info HTTP/1.0\n\n", b"GET /info HTTP/1.0\nX: y\n\r\n\n", b"\nGET /info HTTP/1.0\r\nX: y\n\n"]
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_head_written_by_hand_ends_with_an_empty_line_of_any_kind(data, size):
    assert read_all(data, [size] * (len(data) // size)) == [("GET", "/info", b"")]


def test_the_first_empty_line_ends_a_head():
    assert read_all(b"GET /a HTTP/1.0\n\nGET /b HTTP/1.0\r\n\r\n") == [("GET", "/a", b""), ("GET", "/b", b"")]


def test_a_head_is_refused_as_soon_as_it_is_too_large():
    reader = RequestReader(head_limit=100)
    reader.feed(b"GET / HTTP/1.1\r\n" + b"a" * 100)

    with pytest.raises(ProtocolError) as caught:
        reader.next_head()

    assert caught.value.status == 431


def test_header_names_are_lower_case_and_repeated_values_joined():
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\nHOST: a\r\nX-A:  1 \r\nx-a: 2\r\nX-Registry-Auth:\r\n\r\n")

    head = reader.next_head()

    assert head is not None
    assert head.headers == {"host": "a", "x-a": "1, 2", "x-registry-auth": ""}


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        ("1.1", "", True),
        ("1.1", "close", False),
        ("1.1", "Upgrade", True),
        ("1.0", "", False),
        ("1.0", "Keep-Alive", True),
    ],
)
def test_connections_are_kept_as_the_versions_say(version, connection, keeps):
    reader = RequestReader()
    reader.feed(f"GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n".encode())

    head = reader.next_head()

    assert head is not None
    assert head.keeps_alive is keeps


_LINES = st.sampled_from(
    [
        b"Host: d", b"Content-Length: 3", b"Content-Length: 03", b"Transfer-Encoding: chunked", b"X: y", b"X:\tz ",
        b" fold", b"Expect: 100-continue", b"Connection: close", b"Transfer-Encoding: identity", b"bad", b": v",
        b"Host: e", b"Content-Length: 3x", b"N\x80: 1", b"V: \x80",
    ]
)  # fmt: skip
_BODIES = st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"a\r\nab"])


@settings(max_examples=400)
@given(
    st.sampled_from(
        [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"POST /x HTTP/1.0", b"P@ST / HTTP/1.1", b"GET  / HTTP/1.1"]
    ),
    st.lists(_LINES, max_size=4),
    _BODIES,
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_what_we_accept_h11_reads_the_same_way(line, lines, body, newline):
    data = newline.join([line, *lines, b"", b""]) + body
    try:
        ours = read_first(data)
    except ProtocolError:
        return

    machine = h11.Connection(h11.SERVER)
    machine.receive_data(data)
    request = machine.next_event()
    assert isinstance(request, h11.Request)
    theirs = b""
    while isinstance(event := machine.next_event(), h11.Data):
        theirs += event.data
    assert ours == (request.method, request.target, theirs, isinstance(event, h11.EndOfMessage))


def read_first(data: bytes) -> tuple[bytes, bytes, bytes, bool]:
    reader, body = RequestReader(), b""
    reader.feed(data)
    head = reader.next_head()
    assert head is not None
    while part := reader.next_data():
        body += part
    return head.method.encode(), head.target.encode(), body, reader.body_is_over


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([b"", CHUNKED]))
def test_no_bytes_cause_anything_but_a_refusal(data, before):
    with contextlib.suppress(ProtocolError):
        read_all(before + data)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_that_we_write_h11_reads(parts):
    machine = h11.Connection(h11.CLIENT)
    machine.send(h11.Request(method="GET", target="/", headers=[("host", "d")]))
    machine.send(h11.EndOfMessage())
    machine.receive_data(http1.response_head(200, {"Transfer-Encoding": "chunked"}))
    machine.receive_data(b"".join(map(http1.chunk, parts)) + http1.LAST_CHUNK)

    assert isinstance(machine.next_event(), h11.Response)
    body = b""
    while isinstance(event := machine.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == b"".join(parts)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_value_cannot_break_out_of_the_head(value):
    with pytest.raises(ValueError, match="line break"):
        http1.response_head(200, {"X": value})


def test_a_tls_client_is_answered_at_once() -> None:
    reader = http1.RequestReader()
    reader.feed(bytes.fromhex("1603010200010001fc0303"))

    with pytest.raises(http1.ProtocolError, match="does not speak TLS"):
        reader.next_head()
