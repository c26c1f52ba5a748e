# SPDX-License-Identifier: Apache-2.0
"""`hold` sends what the docker CLI sends: both run against one recording server and their requests are compared."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
IDENTITY = "a" * 64


class Recorder:
    """Answers just enough of the Engine API and keeps every request with a body."""

    def __init__(self, path: Path) -> None:
        self.requests: list[tuple[str, str, object]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        ahead = b""
        while True:
            while b"\r\n\r\n" not in ahead:
                piece = connection.recv(65536)
                if not piece:
                    return
                ahead += piece
            head, _, ahead = ahead.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            while len(ahead) < length:
                ahead += connection.recv(65536)
            body, ahead = ahead[:length], ahead[length:]
            if not target.endswith("/_ping"):
                self.requests.append((method, target, json.loads(body) if body else None))
            if "/attach" in target:
                connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                connection.close()
                return
            connection.sendall(self._answer(method, target))

    def _answer(self, method: str, target: str) -> bytes:
        extra, status, body = "", "200 OK", b"{}"
        if target.endswith("/_ping"):
            extra, body = "Api-Version: 1.51\r\nOstype: linux\r\n", b"OK"
        elif "/containers/create" in target:
            status, body = "201 Created", json.dumps({"Id": IDENTITY, "Warnings": []}).encode()
        elif target.endswith("/exec"):
            status, body = "201 Created", json.dumps({"Id": "b" * 64}).encode()
        elif "/wait" in target:
            body = json.dumps({"StatusCode": 0}).encode()
        elif method == "DELETE" and "/images/" in target:
            body = b'[{"Untagged": "x"}]'
        elif method == "DELETE" or "/start" in target or "/stop" in target or "/kill" in target:
            status, body = "204 No Content", b""
        elif "/json" in target and ("/containers/json" in target or "/images/json" in target):
            body = b"[]"
        head = f"HTTP/1.1 {status}\r\n{extra}Content-Type: application/json\r\n"
        if status.startswith("204"):
            return f"{head}\r\n".encode()
        length = f"Content-Length: {len(body)}\r\n\r\n"
        return (head + length).encode() + (b"" if method == "HEAD" else body)


def _run(command: list[str], path: Path) -> list[tuple[str, str, object]]:
    recorder = Recorder(path)
    environment = {
        "PATH": os.environ["PATH"],
        "DOCKER_HOST": f"unix://{path}",
        "HOME": str(path.parent),
        "FROM_OUTSIDE": "yes",
    }
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    return recorder.requests


def _stripped(value: object) -> object:
    """Without what means nothing on the wire: null, zero, empty, and the random order of what the docker CLI keeps in maps."""
    if isinstance(value, dict):
        value = {**value, **{key: sorted(value.get(key) or ()) for key in ("Env", "Binds")}}
        for key, nothing in (("ConsoleSize", [0, 0]), ("MemorySwappiness", -1)):
            if value.get(key) == nothing:
                del value[key]
        kept = {key: _stripped(item) for key, item in sorted(value.items())}
        return {key: item for key, item in kept.items() if item not in (None, "", 0, False, [], {})}
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    return value


RUNS = [
    ["busybox"],
    ["-i", "busybox", "cat", "-"],
    [
        "--rm",
        "--name",
        "n",
        "-e",
        "A=1",
        "-e=B=2",
        "-eC=3",
        "-e",
        "FROM_OUTSIDE",
        "-e",
        "NOT_SET",
        "busybox",
        "--",
        "ls",
    ],
    ["-it=false", "--rm=false", "busybox"],
    ["-w", "/w", "-u", "1:2", "--hostname", "h", "-l", "a=b", "-l", "c", "--domainname", "d", "busybox"],
    ["-v", "/a:/b:ro", "-v", "vol:/c", "-v", "/anonymous", "--tmpfs", "/t:size=1m", "--volumes-from", "x", "busybox"],
    [
        "-p",
        "80",
        "-p",
        "8080:80/tcp",
        "-p",
        "127.0.0.1:53:53/udp",
        "-p",
        "9000-9002:90-92",
        "--expose",
        "7-8",
        "busybox",
    ],
    ["-p", "7000-7005:77", "-p", "127.0.0.1::78", "-p", "[::1]:79:79", "-P", "busybox"],
    [
        "--memory",
        "512m",
        "--memory-swap",
        "1g",
        "--memory-reservation",
        "64m",
        "--cpus",
        "1.5",
        "--cpu-shares",
        "9",
        "busybox",
    ],
    ["--memory-swap", "-1", "-m", "1073741824b", "--memory-swappiness", "0", "--oom-kill-disable", "busybox"],
    [
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        "--cpu-period",
        "1",
        "--cpu-quota",
        "2",
        "--pids-limit",
        "7",
        "busybox",
    ],
    [
        "--privileged",
        "--cap-add",
        "NET_ADMIN",
        "--cap-drop",
        "ALL",
        "--read-only",
        "--security-opt",
        "no-new-privileges",
        "busybox",
    ],
    ["--network", "host", "busybox"],
    ["--network", "none", "--mac-address", "02:42:ac:11:00:09", "busybox"],
    ["--network", "mine", "--ip", "10.0.0.9", "--network-alias", "a", "--network-alias", "b", "busybox"],
    ["--network", "name=mine,alias=q,ip=10.0.0.7", "busybox"],
    [
        "--dns",
        "1.1.1.1",
        "--dns-search",
        "x.y",
        "--dns-option",
        "ndots:2",
        "--add-host",
        "a:1.2.3.4",
        "--link",
        "x:y",
        "busybox",
    ],
    ["--restart", "on-failure:3", "--stop-signal", "INT", "--stop-timeout", "5", "busybox"],
    ["--entrypoint", "/bin/sh", "busybox", "-c", "true"],
    ["--entrypoint", "", "busybox", "true"],
    [
        "--health-cmd",
        "true",
        "--health-interval",
        "1m30s",
        "--health-retries",
        "3",
        "--health-timeout",
        "500ms",
        "busybox",
    ],
    ["--no-healthcheck", "busybox"],
    [
        "--ulimit",
        "nofile=10:20",
        "--ulimit",
        "core=0",
        "--sysctl",
        "net.core.somaxconn=9",
        "--shm-size",
        "1.5m",
        "busybox",
    ],
    ["--device", "/dev/null:/dev/x:r", "--device", "/dev/zero", "--device-cgroup-rule", "c 1:3 r", "busybox"],
    ["--blkio-weight", "300", "--device-read-bps", "/dev/vda:1mb", "--device-write-iops", "/dev/vda:9", "busybox"],
    [
        "--pid",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
        "--userns",
        "host",
        "--cgroupns",
        "private",
        "--cgroup-parent",
        "/p",
        "busybox",
    ],
    [
        "--log-driver",
        "json-file",
        "--log-opt",
        "max-size=1m",
        "--group-add",
        "5",
        "--init",
        "--oom-score-adj",
        "7",
        "busybox",
    ],
    [
        "--mount",
        "type=bind,src=/a,dst=/b,readonly",
        "--mount",
        "type=volume,source=v,target=/c,volume-nocopy",
        "busybox",
    ],
    [
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
        "--runtime",
        "runc",
        "--annotation",
        "a=b",
        "busybox",
    ],
    ["--storage-opt", "size=1G", "--platform", "linux/amd64", "--gpus", "all", "busybox"],
    ["-a", "stdout", "-a", "STDERR", "busybox"],
    ["--gpus", '"device=0,1",capabilities=utility', "--device", "/dev/null:/dev/x:r", "busybox"],
    ["--gpus", "2,driver=nvidia,options=a=b", "--device", "vendor.com/class=name", "--device", "/dev/null", "busybox"],
    ["--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges:true", "--init", "busybox"],
]


@pytest.mark.parametrize("words", RUNS, ids=[" ".join(words[:-1])[:60] or "plain" for words in RUNS])
def test_create_bodies_are_equal(words: list[str], tmp_path: Path) -> None:
    theirs = _run(["docker", "create" if "-d" in words else "run", *words], tmp_path / "docker.sock")
    ours = _run([str(REPOSITORY / "hold"), "run", *words], tmp_path / "hold.sock")

    (their_create,) = [request for request in theirs if "/containers/create" in request[1]]
    (our_create,) = [request for request in ours if "/containers/create" in request[1]]

    assert _stripped(our_create[2]) == _stripped(their_create[2])
    assert _comparable(our_create)[:3] == _comparable(their_create)[:3]


COMMANDS = [
    ["ps", "-a"],
    ["ps", "-q", "--no-trunc", "-f", "name=x", "-f", "status=running"],
    ["images", "--digests"],
    ["images", "alpine"],
    ["rm", "-f", "-v", "one", "two"],
    ["rmi", "-f", "one:tag"],
    ["stop", "-t", "3", "one"],
    ["restart", "one"],
    ["kill", "-s", "USR1", "one"],
    ["pause", "one"],
    ["tag", "a:1", "b/c:2"],
    ["rename", "a", "b"],
    [
        "update",
        "--memory",
        "64m",
        "--memory-swap",
        "-1",
        "--cpus",
        "1.5",
        "--pids-limit",
        "7",
        "--restart",
        "on-failure:2",
        "one",
    ],
    ["update", "--cpu-shares", "5", "--cpuset-cpus", "0", "--cpuset-mems", "0", "--blkio-weight", "20", "one", "two"],
    ["update", "--cpu-period", "2000", "--cpu-quota", "3000", "--memory-reservation", "9m", "one"],
    ["container", "prune", "-f", "--filter", "label=a", "--filter", "until=1h"],
    ["system", "prune", "-f", "--volumes", "--filter", "label=a"],
    ["system", "prune", "-af"],
    ["container", "update", "--pids-limit", "-1", "one"],
    ["create", "--name", "x", "busybox", "true"],
    ["exec", "-d", "-e", "A=1", "-u", "5", "-w", "/w", "one", "ls", "-l"],
    ["volume", "create", "--label", "a=b", "v"],
    ["volume", "ls", "-f", "dangling=true"],
    ["network", "ls"],
    ["wait", "one"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words) for words in COMMANDS])
def test_requests_are_equal(words: list[str], tmp_path: Path) -> None:
    theirs = _run(["docker", *words], tmp_path / "docker.sock")
    ours = _run([str(REPOSITORY / "hold"), *words], tmp_path / "hold.sock")

    # The docker CLI removes several containers at once, in no order, and looks a container up before exec.
    their_acts = sorted(
        repr(_comparable(request)) for request in theirs if not request[1].endswith("/containers/one/json")
    )
    assert sorted(repr(_comparable(request)) for request in ours) == their_acts


def _comparable(request: tuple[str, str, object]) -> tuple[str, str, dict[str, str], object]:
    from urllib.parse import parse_qs, urlsplit

    method, target, body = request
    parts = urlsplit(target)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items() if values[-1] not in ("0", "")}
    if "repo" in query:
        query["repo"] = query["repo"].removeprefix("docker.io/")
    return method, parts.path.replace("%3A", ":").split("/", 2)[2], dict(sorted(query.items())), _stripped(body)
