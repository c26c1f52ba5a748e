# SPDX-License-Identifier: Apache-2.0
"""Addresses, and what binding leaves on disk."""

import asyncio
import os
import socket
import stat

import pytest

from holdfast.errors import Conflict, InvalidArgument
from holdfast.transport import listener


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("tcp://0.0.0.0", "tcp://0.0.0.0:2375"),
        ("tcp://:4000", "tcp://127.0.0.1:4000"),
        ("127.0.0.1:80", "tcp://127.0.0.1:80"),
        ("tcp://[::1]:2375", "tcp://::1:2375"),
        ("fd://", "fd://"),
    ],
)
def test_addresses_are_read_as_dockerd_reads_them(text, shown):
    assert str(listener.parse(text)) == shown


@pytest.mark.parametrize("text", ["http://x", "tcp://a:99999", "tcp://a/b:1", "npipe:////./pipe/x"])
def test_other_addresses_are_refused(text):
    with pytest.raises(InvalidArgument, match="invalid bind address"):
        listener.parse(text)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [("tcp://127.0.0.1:1", True), ("tcp://[::1]:1", True), ("tcp://0.0.0.0:1", False), ("unix:///x", True)],
)
def test_loopback_is_known(text, is_loopback):
    assert listener.parse(text).is_loopback is is_loopback


def test_a_unix_socket_is_for_owner_and_group(tmp_path):
    path = tmp_path / "deep" / "api.sock"

    (sock,) = listener.bind(listener.Address("unix", path=str(path)))

    with sock:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_dead_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    address = listener.Address("unix", path=str(tmp_path / "api.sock"))
    listener.bind(address)[0].close()

    (sock,) = listener.bind(address)

    with sock, pytest.raises(Conflict, match="another daemon listens"):
        listener.bind(address)


def test_a_file_that_is_no_socket_stays(tmp_path):
    path = tmp_path / "precious"
    path.write_text("x")

    with pytest.raises(Conflict, match="not a socket"):
        listener.bind(listener.Address("unix", path=str(path)))

    assert path.read_text() == "x"


def test_a_long_path_is_refused_by_its_length(tmp_path):
    with pytest.raises(InvalidArgument, match="107 bytes"):
        listener.bind(listener.Address("unix", path=str(tmp_path / ("x" * 120))))


def test_an_unknown_group_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="group no-such-group not found"):
        listener.bind(listener.Address("unix", path=str(tmp_path / "s")), group="no-such-group")


def test_a_taken_port_is_a_conflict():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = listener.Address("tcp", host="127.0.0.1", port=taken.getsockname()[1])

        with pytest.raises(Conflict, match="in use"):
            listener.bind(address)


async def test_closing_ends_accepting_and_running_connections(tmp_path):
    address = listener.Address("unix", path=str(tmp_path / "s"))
    ended = asyncio.Event()

    async def serve(connection):
        try:
            await connection.read()
        finally:
            ended.set()

    listening = listener.Listener(serve)
    await listening.start(listener.bind(address))
    client = socket.socket(socket.AF_UNIX)
    client.connect(address.path)
    await asyncio.sleep(0.02)

    await listening.close()

    assert ended.is_set()
    with pytest.raises(OSError, match="refused"), socket.socket(socket.AF_UNIX) as second:
        second.connect(address.path)
    client.close()
    os.unlink(address.path)


def test_sockets_of_socket_activation_are_taken_over(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as passed:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")

        (sock,) = listener.bind(listener.Address("fd", path=str(os.dup(passed.fileno()))))

        with sock:
            assert sock.getsockname() == passed.getsockname()


def test_socket_activation_needs_sockets_meant_for_us(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")

    with pytest.raises(InvalidArgument, match="no sockets were passed"):
        listener.bind(listener.Address("fd"))
