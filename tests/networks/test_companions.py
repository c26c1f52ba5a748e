# SPDX-License-Identifier: Apache-2.0
"""The processes beside the daemon: what they import, and how the daemon speaks to them."""

import gc
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.kernel.loop import Loop
from holdfast.networks.companions import client, control, server

SOURCE = Path(__file__).resolve().parents[2] / "src"
HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "msgspec", "pathlib", "subprocess", "threading", "typing"}


@pytest.mark.parametrize("name", ["dns", "relay"])
def test_a_companion_is_light(name):
    code = (
        "import sys; sys.path.append(sys.argv[1]); from importlib import import_module; "
        f"import_module('holdfast.networks.{name}.main'); print(*sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(SOURCE)]
    names = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())

    assert not HEAVY & names
    assert "holdfast.networks.controller" not in names


@pytest.mark.parametrize("is_needed", [False, True])
def test_a_companion_leaves_when_nobody_has_needed_it_for_a_while(monkeypatch, tmp_path, is_needed):
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.02)
    loop = Loop()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as daemon,
    ):
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        daemon.connect(str(tmp_path / "sock"))
        server.Server(loop, listener, 1, lambda *_: None, lambda: is_needed)
        overslept: list[bool] = []
        loop.call_later(0.2, lambda: (overslept.append(True), loop.stop()))

        loop.run()

        assert overslept == [True] * is_needed


@pytest.mark.parametrize("dies", [False, True])
def test_a_companion_that_took_its_leave_was_not_lost(monkeypatch, tmp_path, dies):
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.01)
    listens, is_useless = threading.Event(), threading.Event()
    living = threading.Thread(target=live, args=(tmp_path / "sock", listens, is_useless))
    daemon_side = client.Companion(tmp_path / "sock", "", 1, "companion")

    living.start()
    listens.wait()
    assert daemon_side.find()
    if dies:
        daemon_side.tell({"do": "leave"})
    else:
        is_useless.set()
    living.join()
    gc.collect()  # closes what the companion had open, as the end of its process does

    assert daemon_side.bury_lost() is dies
    assert not daemon_side.is_present


def live(path, listens, is_useless):
    """A companion's life."""
    loop = Loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        server.Server(loop, listener, 1, lambda *_: None, lambda: not is_useless.is_set())
        listens.set()
        loop.run()


def test_descriptors_travel_with_a_message():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe()
    with ours, theirs:
        control.send(ours, {"do": "open"}, [reader])
        message, (given,) = control.receive(theirs)
        os.write(writer, b"x")

        assert message == {"do": "open"}
        assert os.read(given, 1) == b"x"
        assert not os.get_inheritable(given)
    for fd in (reader, writer, given):
        os.close(fd)


def test_descriptors_of_what_is_no_message_are_closed():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe()
    with ours, theirs:
        socket.send_fds(ours, [b"{"], [reader])
        os.close(reader)
        assert control.receive(theirs) == (None, [])
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
    os.close(writer)


def test_message_that_is_too_long_is_refused():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, pytest.raises(errors.InvalidArgument, match="too long"):
        control.send(ours, {"x": "x" * control.LIMIT})
