# SPDX-License-Identifier: Apache-2.0
"""Hosts for network tests: each is a thread in its own network and mount namespace, joined by a switch.

A socket belongs to the namespace of the thread that made it, so servers and clients need no processes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from holdfast import networks
from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.kernel.syscalls import MOUNT, SETNS, UNSHARE, call

NEWNET, NEWNS = 0x40000000, 0x20000
MS_REC_PRIVATE = 0x44000


class Place:
    """A thread that lives in a network namespace."""

    def __init__(self, name, netns_fd=None):
        self.name = name
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._servers = []
        self.run(lambda: self._move(netns_fd))
        self.netns_fd = self.run(lambda: os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    def _move(self, netns_fd):
        if netns_fd is not None:
            call(SETNS, netns_fd, NEWNET)
            return
        call(UNSHARE, NEWNET | NEWNS)
        call(MOUNT, b"none", b"/", None, MS_REC_PRIVATE, None)
        # a new namespace has what the machine has, and another daemon may have made that a router
        netns.write_sysctl("ipv4/ip_forward", "0")
        with netlink.Socket() as links:
            links.execute(rtnetlink.set_link(1, is_up=True))

    def run(self, function):
        return self._thread.submit(function).result(timeout=20)

    def shell(self, command):
        done = self.run(lambda: subprocess.run(command, shell=True, capture_output=True, text=True, timeout=10))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, sysctl, value):
        self.run(lambda: netns.write_sysctl(sysctl, value))

    def serve(self, port, *, address="0.0.0.0", udp=False):
        """Answers every connection or datagram with this place's name and the address it came from."""
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        server = self.run(lambda: socket.socket(family_of(address), kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if not udp:
            server.listen()
        self._servers.append(server)
        threading.Thread(target=self._answer, args=(server, udp), daemon=True).start()

    def _answer(self, server, udp):
        try:
            while True:
                if udp:
                    _, peer = server.recvfrom(100)
                    server.sendto(f"{self.name} {peer[0]}".encode(), peer)
                else:
                    connection, peer = server.accept()
                    with connection:
                        connection.sendall(f"{self.name} {peer[0]}".encode())
        except OSError:
            return

    def ask(self, address, port, *, udp=False, timeout=0.4):
        """The answer of a server, or None."""
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        with self.run(lambda: socket.socket(family_of(address), kind)) as client:
            client.settimeout(timeout)
            try:
                client.connect((address, port))
                if udp:
                    client.send(b"?")
                return client.recv(100).decode()
            except OSError:
                return None

    def close(self):
        for server in self._servers:
            server.shutdown(socket.SHUT_RDWR) if server.type == socket.SOCK_STREAM else None
            server.close()
        os.close(self.netns_fd)
        self._thread.shutdown()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class MemoryStore:
    """Stands in for metadata.Store."""

    def __init__(self):
        self._documents = {}

    def items(self, bucket):
        return list(self._documents.get(bucket, {}).items())

    @contextmanager
    def transaction(self, durable=True, *, is_precious=False):
        yield self

    def put(self, bucket, key, doc):
        self._documents.setdefault(bucket, {})[key] = doc

    def delete(self, bucket, key):
        self._documents.get(bucket, {}).pop(key, None)


class Lan:
    """`host` 192.0.2.1 with a daemon's controller, `neighbour` 192.0.2.2 that routes container addresses to it."""

    def __init__(self, directory):
        self.directory = directory
        self.store = MemoryStore()
        self.switch = Place("switch")
        self.host = Place("host")
        self.neighbour = Place("neighbour")
        self._places = [self.switch, self.host, self.neighbour]
        self._plug()
        self.controller = self.start_daemon()

    def _plug(self):
        def make_switch():
            links = netlink.Socket()
            links.execute(rtnetlink.create_bridge("lan", mtu=1500))
            master = rtnetlink.parse_link(links.ask(rtnetlink.get_link("lan"))).ifindex
            for place in (self.host, self.neighbour):
                request = rtnetlink.create_veth(
                    place.name, peer_name="lan0", peer_mac="", peer_netns_fd=place.netns_fd, master=master, mtu=1500
                )
                links.execute(request)
            links.close()

        self.switch.run(make_switch)
        self.host.shell("ip addr add 192.0.2.1/24 dev lan0 && ip link set lan0 up")
        self.neighbour.shell(
            "ip addr add 192.0.2.2/24 dev lan0 && ip link set lan0 up && ip route add 172.16.0.0/12 via 192.0.2.1"
        )

    def start_daemon(self, *, resolver=None, relay=False, **options):
        """Without a relay, for most: it would be a process more for each test."""

        def start():
            config = networks.NetworkConfig(relay=relay, **options)
            controller = networks.Controller(
                self.store, self.directory / "exec", config, now_nanos=time.time_ns(), resolver=resolver
            )
            self.notes = controller.start()
            return controller

        return self.host.run(start)

    def kill_daemon(self):
        """What a `kill -9` leaves: sockets closed, nothing taken down."""
        self.host.run(self.controller.close)

    def restart_daemon(self, **options):
        self.kill_daemon()
        self.controller = self.start_daemon(**options)

    def request(self, name, *, ports=(), mode="bridge", **more):
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return networks.ConnectRequest(
            container_id=name, name=name, hostname=name, directory=directory, mode=mode, ports=tuple(ports), **more
        )

    def create(self, name, **more):
        """Makes a user-defined network."""
        wish = networks.NetworkWish(name=name, **more)
        return self.host.run(lambda: self.controller.create(wish, now_nanos=time.time_ns()))

    def connect(self, name, **more):
        """Connects a container; returns the attachment and the place inside it."""
        attachment = self.host.run(lambda: self.controller.connect(self.request(name, **more)))
        return attachment, self.enter(name, attachment)

    def enter(self, name, attachment):
        fd = self.host.run(lambda: os.open(attachment.netns_path, os.O_RDONLY | os.O_CLOEXEC))
        place = Place(name, fd)
        os.close(fd)
        self._places.append(place)
        return place

    def disconnect(self, name):
        self.host.run(lambda: self.controller.disconnect(name))

    def leave(self, place):
        """Ends the test's own stay in a container's namespace, which would keep it alive."""
        self._places.remove(place)
        place.close()

    def close(self):
        self.host.run(self.controller.close)
        for place in self._places:
            place.close()


@pytest.fixture
def lan(tmp_path):
    made = Lan(tmp_path)
    yield made
    made.close()


@pytest.fixture
def publish():
    """publish(container_port, host_port, host_ip='', protocol='tcp') -> PortBinding."""

    def make(container_port, host_port=0, host_ip="", protocol="tcp"):
        return networks.PortBinding(
            container_port=container_port,
            host_port_start=host_port,
            host_port_end=host_port,
            host_ip=host_ip,
            protocol=protocol,
        )

    return make
