# SPDX-License-Identifier: Apache-2.0
"""Holdfast's registry beside Debian's docker-registry: blobs to many clients at once, in one run.

Each client is a thread of a separate process that GETs the blob over and over on a kept connection and throws the bytes
away. Prints a Markdown table of medians.
    bench/registry.py [--clients 32] [--rounds 3]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

STATE = Path(os.environ.get("BENCH_STATE", "/var/tmp/holdfast-bench-registry"))
SIZES = (("4 KiB", 4 << 10, 4000), ("1 MiB", 1 << 20, 1500), ("64 MiB", 64 << 20, 64))


class Served:
    """One registry on a port of loopback."""

    def __init__(self, name: str, port: int, command: list[str]) -> None:
        self.name, self.port = name, port
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{name} does not listen")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def put(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        path = STATE / "blob"
        path.write_bytes(data)
        url = f"http://127.0.0.1:{self.port}/v2/bench/x/blobs/uploads/"
        head = subprocess.run(["curl", "-si", "-X", "POST", url], capture_output=True, text=True, check=True).stdout
        place = next(line for line in head.splitlines() if line.lower().startswith("location:")).split(": ", 1)[1]
        place = place if place.startswith("http") else f"http://127.0.0.1:{self.port}{place}"
        target = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        kind = "Content-Type: application/octet-stream"
        subprocess.run(["curl", "-sf", "-X", "PUT", "-H", kind, "-T", str(path), target], check=True)
        return digest

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)


def fetch(port: int, digest: str, count: int) -> None:
    """One client: `count` GETs on one connection."""
    request = f"GET /v2/bench/x/blobs/{digest} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    buffer = memoryview(bytearray(1 << 20))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(count):
            sock.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(65536)
            top, _, rest = head.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in top.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            left = length - len(rest)
            while left:
                left -= sock.recv_into(buffer, min(left, len(buffer)))


def storm(port: int, digest: str, clients: int, total: int) -> float:
    """Seconds for `total` GETs by so many clients, spread over two processes."""
    halves = [clients // 2, clients - clients // 2]
    program = [sys.executable, __file__, "--storm", str(port), digest]
    began = time.perf_counter()
    children = [subprocess.Popen([*program, str(half), str(max(1, total // clients))]) for half in halves]
    for child in children:
        if child.wait() != 0:
            raise RuntimeError("a client failed")
    return time.perf_counter() - began


def storm_child(port: int, digest: str, clients: int, each: int) -> None:
    threads = [threading.Thread(target=fetch, args=(port, digest, each)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    if sys.argv[1:2] == ["--storm"]:
        storm_child(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return 0
    parser = argparse.ArgumentParser(description="Holdfast's registry beside docker-registry, in one run")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    config = STATE / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {STATE}/theirs}}}}\nhttp: {{addr: '127.0.0.1:5061'}}\n"
    )
    ours = [sys.executable, "-m", "holdfast.registry.main", "--listen", "127.0.0.1:5062", "--root", f"{STATE}/ours"]
    sides = [
        Served("docker-registry", 5061, ["docker-registry", "serve", str(config)]),
        Served("holdfast", 5062, ours),
    ]
    print(f"| {options.clients} clients, blobs of | docker-registry | Holdfast | ratio | CPU theirs | CPU ours |")
    print("|---|---:|---:|---:|---:|---:|")
    try:
        for label, size, total in SIZES:
            digests = {side.name: side.put(os.urandom(size)) for side in sides}
            rates: dict[str, list[float]] = {side.name: [] for side in sides}
            cpu = {side.name: 0.0 for side in sides}
            for _ in range(options.rounds):
                for side in sides:
                    before = side.cpu_seconds()
                    rates[side.name].append(total / storm(side.port, digests[side.name], options.clients, total))
                    cpu[side.name] += side.cpu_seconds() - before
            theirs, mine = (statistics.median(rates[side.name]) for side in sides)
            shown = [f"{rate * size / 1e6:.0f} MB/s ({rate:.0f}/s)" for rate in (theirs, mine)]
            spent = [f"{cpu[side.name] / options.rounds:.2f} s" for side in sides]
            print(f"| {label} | {shown[0]} | {shown[1]} | {mine / theirs:.2f} | {spent[0]} | {spent[1]} |", flush=True)
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(STATE, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
