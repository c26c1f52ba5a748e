# SPDX-License-Identifier: Apache-2.0
import socket

import pytest

from holdfast import errors
from holdfast.client.http import Connection


def _answered(answer: bytes, method: str = "GET") -> tuple[Connection, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    return Connection(ours), theirs


def test_a_counted_body_leaves_the_next_answer_alone() -> None:
    connection, _far = _answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\n\r\n")

    assert connection.request("GET", "/").read() == b"hi"
    assert connection.request("GET", "/").status == 204


def test_a_chunked_body_is_joined() -> None:
    connection, _far = _answered(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n"
    )

    assert connection.request("GET", "/").read() == b"abcde"


def test_bytes_behind_an_upgrade_are_handed_over() -> None:
    connection, _far = _answered(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly")

    assert connection.request("POST", "/").status == 101
    assert connection.take_ahead() == b"early"


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 2x0\r\n\r\n"]
)
def test_a_broken_answer_is_unavailable(answer: bytes) -> None:
    connection, _far = _answered(answer)

    with pytest.raises(errors.Unavailable):
        connection.request("GET", "/").read()


def test_a_streamed_body_is_sent_in_chunks() -> None:
    connection, far = _answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    connection.request("POST", "/", body=iter([b"abc", b"", b"de"]))

    assert far.recv(4096).endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
