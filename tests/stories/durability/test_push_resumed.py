# SPDX-License-Identifier: Apache-2.0
"""A push whose daemon is killed with -9 goes on, in the next daemon, where the registry stands.

Between daemon and registry is a gate: it passes bytes until it has seen enough, says so, and holds what follows, so that
the moment of the kill is known. What the second push sends is counted at the gate.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
PART = 64 * MIB
LAYER = 80 * MIB
ENDLESS = 1 << 62
NAME = "127.0.0.1:5002/team/large:1"
GATE = """
import asyncio, os, signal, sys

listen, behind, limit, sign = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
passed = 0

async def pass_on(reader, writer, is_held):
    global passed
    while data := await reader.read(65536):
        if is_held and (passed > limit or (sign and sign in data)):
            print("held", flush=True)
            await asyncio.sleep(3600)
        passed += len(data) if is_held else 0
        writer.write(data)
        await writer.drain()
    writer.close()

async def serve(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", behind)
    ways = [asyncio.create_task(pass_on(reader, there[1], True)), asyncio.create_task(pass_on(there[0], writer, False))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    there[1].close()
    writer.close()

def end():
    print(passed, flush=True)
    os._exit(0)

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    server = await asyncio.start_server(serve, "127.0.0.1", listen)
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class Gate:
    """What passes bytes from 5002 to the registry at 5001, until `limit` or after a request that has `sign` in its head."""

    def __init__(self, start: Callable[..., subprocess.Popen[str]], netns: str, limit: int, sign: str = "") -> None:
        self._process = start(netns, sys.executable, "-c", GATE, "5002", "5001", str(limit), sign)
        assert self.line() == "ready"

    def line(self) -> str:
        """The next word of the gate."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> int:
        """Takes the gate away; the bytes that passed it towards the registry."""
        self._process.terminate()
        passed = int(self.line())
        self._process.wait()
        return passed


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts programs in a namespace and ends them."""
    started: list[subprocess.Popen[str]] = []

    def begin(netns: str, *command: str) -> subprocess.Popen[str]:
        words = ["nsenter", f"--net=/run/netns/{netns}", *command]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """An OCI layout of one layer that cannot be compressed, in a tar."""
    content = random.Random(4).randbytes(LAYER)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    blobs: list[bytes] = []

    def add(data: bytes, kind: str) -> dict[str, Any]:
        blobs.append(data)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{sha256(data).hexdigest()}",
            "size": len(data),
        }

    blob = add(plain.getvalue(), "layer.v1.tar")
    rootfs = {"type": "layers", "diff_ids": [blob["digest"]]}
    config = add(json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode(), "config.v1+json")
    manifest = add(json.dumps({"schemaVersion": 2, "config": config, "layers": [blob]}).encode(), "manifest.v1+json")
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        named = {**manifest, "annotations": {"io.containerd.image.name": NAME}}
        members = {"index.json": json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()}
        members |= {f"blobs/sha256/{sha256(data).hexdigest()}": data for data in blobs}
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive


def serve_ours(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "holdfast.registry.main",
        "--listen",
        "127.0.0.1:5001",
        "--root",
        str(folder / "ours"),
    ]


def serve_debians(folder: Path) -> list[str]:
    assert shutil.which("docker-registry"), "docker-registry is missing: scripts/setup dev installs it"
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "debians")}},
        "http": {"addr": "127.0.0.1:5001"},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    return ["docker-registry", "serve", str(folder / "config.yml")]


def wait_for_registry(daemon: Any) -> None:
    probe = ["curl", "-fs", "--retry", "100", "--retry-delay", "0", "--retry-connrefused", "http://127.0.0.1:5001/v2/"]
    assert daemon.in_netns(*probe, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("serve", "limit", "sign", "kept"),
    [
        pytest.param(serve_ours, 72 * MIB, "", 72 * MIB, id="ours, in the middle of a part"),
        pytest.param(serve_debians, LAYER * 2, f"Content-Range: {PART}-", PART, id="docker-registry, between parts"),
        pytest.param(serve_debians, 72 * MIB, "", 0, id="docker-registry, which forgets a half part"),
    ],
)
def test_a_push_cut_by_a_kill_goes_on_where_the_registry_stands(
    make_daemon: Any,
    start: Callable[..., subprocess.Popen[str]],
    layer: Path,
    tmp_path: Path,
    serve: Callable[[Path], list[str]],
    limit: int,
    sign: str,
    kept: int,
) -> None:
    daemon = make_daemon()
    start(daemon.netns, *serve(tmp_path))
    wait_for_registry(daemon)
    gate = Gate(start, daemon.netns, limit, sign)
    daemon.out("load", "-i", str(layer))
    pushing = subprocess.Popen(
        daemon.docker_command("push", NAME), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert gate.line() == "held"

    daemon.kill()
    pushing.wait(20)
    gate.end()
    daemon.start()
    gate = Gate(start, daemon.netns, ENDLESS)
    pushed = daemon.docker("push", NAME)

    assert pushed.returncode == 0, pushed.stderr
    assert LAYER - kept - MIB < gate.end() < LAYER - kept + 2 * MIB
    inspected = daemon.in_netns(
        "skopeo", "inspect", "--tls-verify=false", "docker://127.0.0.1:5001/team/large:1", timeout=60
    )
    digest = pushed.stdout.rpartition("digest: ")[2].split()[0]
    assert json.loads(inspected.stdout)["Digest"] == digest
