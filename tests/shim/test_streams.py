# SPDX-License-Identifier: Apache-2.0
"""What flows out of a process, to its last byte and to the end of it."""

import os
import socket

import pytest

from holdfast.kernel import loop
from holdfast.shim import protocol
from holdfast.shim.streams import Streams

GRANT = {
    "stdin": False,
    "stdout": True,
    "stderr": True,
    "framed": False,
    "close_stdin": False,
    "detach_keys": "",
    "pending": "",
}


def test_the_end_is_told_before_clients_are_hung_up_on() -> None:
    streams = Streams(loop.Loop(), is_tty=False, log=None, on_detached=None)
    read_fd, write_fd = os.pipe()
    streams.add_output(protocol.STDOUT, read_fd)
    ours, theirs = socket.socketpair()
    streams.attach(theirs, GRANT)
    seen: list[bytes] = []

    def told() -> None:
        seen.append(ours.recv(100))
        with pytest.raises(BlockingIOError):
            ours.recv(100, socket.MSG_DONTWAIT)

    os.write(write_fd, b"last words")
    os.close(write_fd)
    streams.drain(told)

    assert seen == [b"last words"]
    assert ours.recv(100) == b"", "the end of the stream came after that"
    ours.close()
