# SPDX-License-Identifier: Apache-2.0
import os
import socket
import threading

import pytest

from holdfast import errors
from holdfast.cli import relay
from holdfast.client.api import Upgraded


def _frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def test_frames_go_to_stdout_and_stderr_and_the_end_of_input_half_closes() -> None:
    ours, theirs = socket.socketpair()
    stdin_read, stdin_write = os.pipe()
    out_read, out_write = os.pipe()
    error_read, error_write = os.pipe()
    seen: list[bytes] = []

    def far_side() -> None:
        while data := theirs.recv(100):
            seen.append(data)
        theirs.sendall(_frame(1, b"out") + _frame(2, b"err"))
        theirs.close()

    far = threading.Thread(target=far_side)
    far.start()
    os.write(stdin_write, b"hello")
    os.close(stdin_write)

    relay.Relay(
        Upgraded(ours, _frame(1, b"ahead "), is_framed=True),
        framed=True,
        stdin_fd=stdin_read,
        outputs=(out_write, error_write),
    ).run()

    far.join()
    assert b"".join(seen) == b"hello"
    assert os.read(out_read, 100) == b"ahead out"
    assert os.read(error_read, 100) == b"err"


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        (b"ab\x10\x11cd", b"ab", True),
        (b"\x10x", b"\x10x", False),
        (b"\x10\x10\x11", b"\x10", True),
        (b"plain", b"plain", False),
    ],
)
def test_detach_keys_are_held_back_and_a_broken_sequence_is_passed_on(
    typed: bytes, passed: bytes, detached: bool
) -> None:
    ours, theirs = socket.socketpair()
    stdin_read, stdin_write = os.pipe()
    session = relay.Relay(
        Upgraded(ours, b"", is_framed=False), framed=False, stdin_fd=stdin_read, detach_keys=b"\x10\x11"
    )
    os.write(stdin_write, typed)
    os.close(stdin_write)
    closer = threading.Thread(target=lambda: (_drain(theirs), theirs.close()))

    if not detached:
        closer.start()
    session.run()

    assert session.was_detached is detached
    if detached:
        ours.shutdown(socket.SHUT_WR)
        assert _drain(theirs) == passed
    else:
        closer.join()


def _drain(stream: socket.socket) -> bytes:
    data = b""
    while piece := stream.recv(100):
        data += piece
    return data


@pytest.mark.parametrize(
    ("text", "keys"), [("", b"\x10\x11"), ("ctrl-a", b"\x01"), ("a,ctrl-\\", b"a\x1c"), ("ctrl-@", b"\x00")]
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert relay.parse_detach_keys(text) == keys


def test_wrong_detach_keys_are_refused() -> None:
    with pytest.raises(errors.InvalidArgument):
        relay.parse_detach_keys("ctrl-enter")
