# SPDX-License-Identifier: Apache-2.0
"""How fast a published port is beside a plain veth pair: bytes through one TCP connection, in short rounds by turns.

What is printed are medians of the rounds' ratios to the plain pair of the same round. Beside the rate stands what a
second of processor (sender and receiver together) carries: the fairer figure on a machine that has other things to do.

    sudo unshare --net .venv/bin/python bench/published_port.py

Everything happens in the namespace that it is started in, which must be a new one. Both ways run in turns, so that what
else the machine does strikes both.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from holdfast import metadata, networks
from holdfast.kernel import namespaces, netns

ROUNDS, SECONDS, BLOCK = 20, 0.15, bytes(1 << 17)


def sink(netns_path: str, port: int) -> int:
    """A child in that namespace that reads whatever comes."""
    pid = os.fork()
    if pid:
        return pid
    namespaces.setns(os.open(netns_path, os.O_RDONLY), namespaces.NEWNET)
    server = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = server.accept()
        while connection.recv(1 << 18):
            pass
        connection.close()


def gigabits(address: str, port: int, receiver: int) -> tuple[float, float]:
    """What one connection carries in a second, and for a second of processor."""
    with socket.create_connection((address, port)) as sock:
        sent, began, used = 0, time.monotonic(), time.process_time() + processor_seconds(receiver)
        while time.monotonic() - began < SECONDS:
            sent += sock.send(BLOCK)
        passed = time.monotonic() - began
        used = time.process_time() + processor_seconds(receiver) - used
        return sent * 8 / 1e9 / passed, sent * 8 / 1e9 / used


def processor_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def container(directory: Path) -> Iterator[tuple[str, str]]:
    """A container's namespace on the default bridge with port 8080 published; its path and address."""
    store = metadata.Store(directory / "metadata.db")
    controller = networks.Controller(store, directory, networks.NetworkConfig(), now_nanos=time.time_ns())
    controller.start()
    request = networks.ConnectRequest(
        container_id="bench",
        name="bench",
        hostname="bench",
        directory=directory,
        ports=(networks.PortBinding(container_port=80, host_port_start=8080, host_port_end=8080),),
    )
    made = controller.connect(request)
    yield made.netns_path or "", made.endpoints[0].ip_address
    controller.disconnect("bench")
    controller.close()


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as directory, container(Path(directory)) as (path, address):
        plain = f"{directory}/plain"
        netns.create(plain).close()
        for command in (
            f"ip link add plain0 type veth peer name plain1 && ip link set plain1 netns {plain}",
            "ip addr add 198.51.100.1/24 dev plain0 && ip link set plain0 up",
            f"nsenter --net={plain} sh -c 'ip addr add 198.51.100.2/24 dev plain1 && ip link set plain1 up'",
        ):
            subprocess.run(["sh", "-c", command], check=True)
        children = [sink(path, 80), sink(plain, 80)]
        time.sleep(0.5)
        ways = {
            "plain veth": ("198.51.100.2", 80, children[1]),
            "container's address": (address, 80, children[0]),
            "published, 127.0.0.1": ("127.0.0.1", 8080, children[0]),
            "published, own address": ("198.51.100.1", 8080, children[0]),
        }
        rounds: list[dict[str, tuple[float, float]]] = []
        for number in range(ROUNDS):
            order = list(ways)[:: 1 if number % 2 else -1]
            rounds.append({name: gigabits(*ways[name]) for name in order})
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        netns.remove(plain)
        for name in ways:
            rate, frugality = (median([each[name][index] for each in rounds]) for index in (0, 1))
            ratios = [median([each[name][index] / each["plain veth"][index] for each in rounds]) for index in (0, 1)]
            print(
                f"{name:24} {rate:6.1f} Gbit/s {ratios[0]:5.2f}   {frugality:6.1f} Gbit/s of processor {ratios[1]:5.2f}"
            )


if __name__ == "__main__":
    sys.exit(main())
