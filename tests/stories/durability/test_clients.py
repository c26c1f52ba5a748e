# SPDX-License-Identifier: Apache-2.0
"""Clients that stop reading, or leave in the middle of something: containers go on, memory is bounded, nothing stays."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IMAGE = "story:1"
MEBIBYTE = 1 << 20
FLOOD = "n=0; while [ $n -lt 60 ]; do n=$((n+1)); dd if=/dev/zero bs=64k count=16 2>/dev/null | tr '\\0' x; echo; done; echo end > /done; sleep 300"  # fmt: skip


def eventually(claim: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Waits until the claim holds, and fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value
    return value


@contextlib.contextmanager
def stalled(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A client that was stopped after it had begun to read."""
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdout is not None
    try:
        client.stdout.read(1)
        os.kill(client.pid, signal.SIGSTOP)
        yield client
    finally:
        client.kill()
        client.wait()
        client.stdout.close()


def test_a_stopped_reader_of_run_does_not_stop_the_container(daemon: Any) -> None:
    command = daemon.docker_command("run", "--name", "flood", "--log-driver", "none", IMAGE, "sh", "-c", FLOOD)
    with stalled(command):
        shim, before = daemon.shim_of("flood"), daemon.rss(daemon.pid)

        eventually(lambda: daemon.docker("exec", "flood", "cat", "/done").stdout == "end\n", 20)

        assert daemon.rss(shim) < 24 * MEBIBYTE
        assert daemon.rss(daemon.pid) - before < 8 * MEBIBYTE


def test_stopped_readers_of_logs_and_events_cost_no_memory(daemon: Any) -> None:
    script = "n=0; while [ $n -lt 60000 ]; do n=$((n+1)); echo $n a line of a log that nobody reads; done; echo end > /done; sleep 300"
    daemon.out("run", "-d", "--name", "writer", IMAGE, "sh", "-c", "echo first; sleep 1; " + script)
    events = subprocess.Popen(daemon.docker_command("events"), stdout=subprocess.PIPE)
    try:
        with stalled(daemon.docker_command("logs", "-f", "writer")):
            os.kill(events.pid, signal.SIGSTOP)
            before = daemon.rss(daemon.pid)
            for _ in range(60):
                daemon.api("POST", "/containers/writer/kill?signal=CONT")
            eventually(lambda: daemon.docker("exec", "writer", "cat", "/done").stdout == "end\n", 20)

            assert daemon.rss(daemon.pid) - before < 16 * MEBIBYTE
            assert daemon.rss(daemon.shim_of("writer")) < 24 * MEBIBYTE
            assert daemon.out("logs", "--tail", "1", "writer").startswith("60000 a line")
    finally:
        events.kill()
        events.wait()
        events.stdout.close()  # type: ignore[union-attr]


def test_thousands_of_events_do_not_pile_up_for_a_stopped_reader(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "target", IMAGE, "sleep", "300")
    with socket.socket(socket.AF_UNIX) as reader:
        reader.connect(str(daemon.socket))
        reader.sendall(b"GET /v1.47/events HTTP/1.1\r\nHost: d\r\n\r\n")
        reader.recv(100)
        before = daemon.rss(daemon.pid)

        for _ in range(3000):
            assert daemon.api("POST", "/containers/target/kill?signal=CONT")[0] == 204

        assert daemon.rss(daemon.pid) - before < 16 * MEBIBYTE


def test_a_client_that_leaves_amid_a_load_leaves_nothing(daemon: Any, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    daemon.out("save", "-o", str(archive), IMAGE)
    data = archive.read_bytes()
    head = f"POST /v1.47/images/load?quiet=1 HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: {len(data)}\r\n\r\n"
    fds = daemon.fds()

    for part in (10, 600, len(data) // 3, len(data) // 2, len(data) - 600):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(head.encode() + data[:part])
            time.sleep(0.1)

    assert daemon.leftovers() == {}
    eventually(lambda: daemon.fds()["daemon"] <= fds["daemon"] + 2)
    assert daemon.docker("load", "-i", str(archive)).returncode == 0


def test_a_client_that_leaves_amid_an_exec_leaves_the_container_alone(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", IMAGE, "sleep", "300")
    fds, shim = daemon.fds(), daemon.shim_of("host")
    in_shim = len(os.listdir(f"/proc/{shim}/fd"))

    for _ in range(5):
        client = subprocess.Popen(
            daemon.docker_command("exec", "-i", "host", "sh", "-c", "cat; sleep 0.2"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"x\n")
        client.stdin.flush()
        client.stdout.readline()
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()

    assert daemon.inspect("host")["State"]["Running"]
    eventually(lambda: len(os.listdir(f"/proc/{shim}/fd")) <= in_shim + 2)
    eventually(lambda: daemon.fds()["daemon"] <= fds["daemon"] + 2)


def test_clients_that_leave_amid_creation_and_wait_leave_no_task(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", IMAGE, "sleep", "300")
    fds = daemon.fds()

    for target in ("POST /containers/host/wait", "GET /containers/host/logs?follow=1&stdout=1", "POST /containers/host/attach?stream=1&stdout=1", "GET /events", "GET /containers/host/stats"):  # fmt: skip
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(daemon.socket))
                client.sendall(f"{target} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
                time.sleep(0.02)

    eventually(lambda: daemon.fds()["daemon"] <= fds["daemon"] + 2)
    assert daemon.tracebacks() == ""
