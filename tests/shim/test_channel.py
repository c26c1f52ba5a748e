# SPDX-License-Identifier: Apache-2.0
"""Messages and descriptors over a socket."""

import os
import socket

import pytest

from holdfast import errors
from holdfast.shim.channel import Channel


def _pair() -> tuple[Channel, Channel, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), Channel(theirs), ours


def test_descriptors_arrive_in_order_and_close_on_exec():
    sender, receiver, _ = _pair()
    ends = os.pipe()

    sender.send({"a": 1}, ends)

    received = receiver.receive()
    assert received is not None
    message, fds = received
    assert message == {"a": 1}
    assert [os.fstat(fd).st_ino for fd in fds] == [os.fstat(fd).st_ino for fd in ends]
    assert not any(os.get_inheritable(fd) for fd in fds)
    for fd in (*ends, *fds):
        os.close(fd)


@pytest.mark.parametrize("size", [1, 60_000, 70_000, 3_000_000])
def test_messages_of_any_size_arrive_whole(size: int):
    sender, receiver, _ = _pair()
    end = os.open("/dev/null", os.O_RDONLY)

    sender.send({"a": "x" * size}, [end])

    received = receiver.receive()
    assert received is not None
    assert received[0] == {"a": "x" * size}
    assert len(received[1]) == 1
    for fd in (end, *received[1]):
        os.close(fd)


def test_nothing_yet_is_not_the_end():
    sender, receiver, _ = _pair()

    with pytest.raises(BlockingIOError):
        receiver.receive()
    sender.close()
    assert receiver.receive() is None


@pytest.mark.parametrize("data", [b"x", b"i[]", b"i{", b"m"])
def test_a_damaged_message_is_refused_and_its_descriptors_are_closed(data: bytes):
    _, receiver, raw = _pair()
    end = os.open("/dev/null", os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(raw, [data], [end])

    with pytest.raises(errors.Corrupt):
        receiver.receive()

    assert len(os.listdir("/proc/self/fd")) == before
    os.close(end)


def test_a_full_queue_does_not_block():
    sender, receiver, _ = _pair()

    def fill() -> None:
        while True:
            sender.send({"a": "x" * 1000})

    with pytest.raises(BlockingIOError):
        fill()
    assert receiver.receive() is not None


def test_a_peer_that_is_gone_raises():
    sender, receiver, _ = _pair()
    receiver.close()

    with pytest.raises(OSError):
        sender.send({})
