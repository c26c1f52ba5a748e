# SPDX-License-Identifier: Apache-2.0
"""The registry as a process and as a server: passwords, slow clients, kills, locks."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from holdfast.errors import Conflict, InvalidArgument
from holdfast.registry import connection, main
from holdfast.registry import server as server_module


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_bytes(b"# users\nalice:" + bcrypt.hashpw(b"canary-secret", bcrypt.gensalt(4)) + b"\nold:{SHA}abc\n")
    return path


def test_passwords_are_asked_for_and_checked(start: Any, users: Path) -> None:
    client = start("--htpasswd", str(users)).client

    nobody = client.ask("GET", "/v2/")
    right = client.ask("GET", "/v2/", Authorization=basic("alice", "canary-secret"))

    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Basic realm="Holdfast"')
    assert right.status == 200
    for user, password in (("alice", "x"), ("alice", ""), ("bob", "canary-secret"), ("old", "abc"), ("", "")):
        assert client.ask("GET", "/v2/", Authorization=basic(user, password)).status == 401
    for broken in ("Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"\xff\xfe").decode()):
        assert client.ask("GET", "/v2/", Authorization=broken).status == 401
    assert client.ask("PUT", "/v2/x/manifests/v1", b"{}").status == 401


def test_a_changed_file_of_users_counts_at_once(start: Any, users: Path) -> None:
    client = start("--htpasswd", str(users)).client
    assert client.ask("GET", "/v2/", Authorization=basic("alice", "canary-secret")).status == 200

    users.write_bytes(b"bob:" + bcrypt.hashpw(b"new", bcrypt.gensalt(4)) + b"\n")

    assert client.ask("GET", "/v2/", Authorization=basic("alice", "canary-secret")).status == 401
    assert client.ask("GET", "/v2/", Authorization=basic("bob", "new")).status == 200


def test_a_slow_head_is_cut_off(start: Any) -> None:
    running = start()
    running.registry.server._limits = connection.Limits(head_seconds=0.3)

    with socket.create_connection(("127.0.0.1", running.client.port)) as slow:
        slow.settimeout(5)
        slow.sendall(b"GET /v2/ HTTP/1.1\r\nHost:")
        assert b" 408 " in slow.recv(4096)


def test_a_slow_body_is_cut_off(start: Any) -> None:
    running = start()
    place = running.client.begin("x")
    running.registry.server._limits = connection.Limits(body_grace_seconds=0.3)

    with socket.create_connection(("127.0.0.1", running.client.port)) as slow:
        slow.settimeout(5)
        slow.sendall(f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab".encode())
        assert slow.recv(4096) == b""


def test_idle_connections_make_room_for_new_ones(start: Any) -> None:
    running = start()
    server = running.registry.server
    for _ in range(server_module.MOST_CONNECTIONS - 5):
        assert server._free.acquire(blocking=False)
    idle = [socket.create_connection(("127.0.0.1", running.client.port)) for _ in range(8)]

    began = time.monotonic()
    assert running.client.ask("GET", "/v2/").status == 200

    assert time.monotonic() - began < 5
    for each in idle:
        each.close()


def test_a_pipelined_second_request_is_answered(start: Any) -> None:
    running = start()

    with socket.create_connection(("127.0.0.1", running.client.port)) as client:
        client.settimeout(5)
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        got = b""
        while got.count(b"{}") < 2:
            got += client.recv(4096)
    assert got.count(b"HTTP/1.1 200 OK") == 2


def test_https(tmp_path: Path, start: Any) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    running = start("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"))
    url = f"https://localhost:{running.client.port}"
    blob = os.urandom(700_000)
    (tmp_path / "blob").write_bytes(blob)
    curl = ["curl", "-sf", "--cacert", str(tmp_path / "ca.pem")]

    import hashlib

    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    subprocess.run(
        [*curl, "-X", "POST", "--data-binary", f"@{tmp_path}/blob", f"{url}/v2/x/blobs/uploads/?digest={digest}"],
        check=True,
    )
    got = subprocess.run([*curl, f"{url}/v2/x/blobs/{digest}"], check=True, capture_output=True)

    assert got.stdout == blob


def test_a_root_has_one_registry(start: Any) -> None:
    start()

    with pytest.raises(Conflict, match="another registry serves"):
        start()


def test_passwords_in_the_clear_are_for_loopback_only(users: Path, tmp_path: Path) -> None:
    options = main.parse(["--listen", "0.0.0.0:0", "--htpasswd", str(users), "--root", str(tmp_path)])

    with pytest.raises(InvalidArgument, match="over plain http"):
        main._bind(options)


def spawn(root: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "holdfast.registry.main", "--listen", f"127.0.0.1:{port}", "--root", str(root)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    raise AssertionError("the registry does not listen")


def test_kill_9_in_any_upload_leaves_no_bad_blob(tmp_path: Path) -> None:
    """Killed at many points of an upload: afterwards each blob that has its name has its content."""
    import hashlib
    import http.client
    import threading

    data = os.urandom(3_000_000)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    root = tmp_path / "root"
    for delay in (0.0, 0.002, 0.005, 0.01, 0.03):
        process, port = spawn(root)

        def push(port: int = port) -> None:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                client.request("POST", "/v2/x/blobs/uploads/", b"")
                place = client.getresponse()
                place.read()
                client.request("PUT", f"{place.headers['Location']}?digest={digest}", data)
                client.getresponse().read()
            except (OSError, http.client.HTTPException):
                return

        pusher = threading.Thread(target=push)
        pusher.start()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        pusher.join()
        for blob in root.glob("content/blobs/sha256/*"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name

    process, port = spawn(root)
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("POST", f"/v2/x/blobs/uploads/?digest={digest}", data)
        assert client.getresponse().status == 201
        assert list((root / "content/ingest").iterdir()) == []
    finally:
        process.terminate()
        process.wait()


def test_the_log_tells_no_secret(tmp_path: Path, users: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "holdfast.registry.main", "--listen", f"127.0.0.1:{port}"]
    command += ["--root", str(tmp_path / "root"), "--htpasswd", str(users), "--log-level", "debug"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        asked = [
            "curl",
            "-s",
            "-u",
            "alice:canary-secret",
            "--retry",
            "50",
            "--retry-delay",
            "0",
            "--retry-connrefused",
        ]
        subprocess.run([*asked, f"http://127.0.0.1:{port}/v2/x/tags/list?token=canary-secret"], check=True)
    finally:
        process.terminate()
        process.wait()

    log_text = (tmp_path / "log").read_bytes()
    assert b"/v2/x/tags/list" in log_text
    assert b"canary" not in log_text
    assert base64.b64encode(b"alice:canary-secret") not in log_text
    stored = [path.read_bytes() for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert not any(b"canary" in data for data in stored)
