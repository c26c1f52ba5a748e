# SPDX-License-Identifier: Apache-2.0
"""A registry in this process, on a port of loopback, and a small client of it."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.oci import media
from holdfast.registry import main


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return json.loads(self.body)["errors"][0]["code"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Talks to one registry; `headers` go with every request."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.port = port
        self.headers = headers or {}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {**self.headers, **named})
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def begin(self, name: str) -> str:
        reply = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        assert reply.status == 202, reply
        return reply.headers["location"]

    def put_blob(self, name: str, data: bytes) -> str:
        digest = sha256(data)
        reply = self.ask("PUT", f"{self.begin(name)}?digest={digest}", data)
        assert reply.status == 201, reply
        return digest

    def put_image(self, name: str, tag: str, *layers: bytes, **more: Any) -> tuple[str, dict[str, Any]]:
        config = json.dumps({"architecture": "amd64", "os": "linux", "name": name}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": {"mediaType": media.OCI_CONFIG, "digest": self.put_blob(name, config), "size": len(config)},
            "layers": [
                {"mediaType": media.OCI_LAYER_GZIP, "digest": self.put_blob(name, data), "size": len(data)}
                for data in layers
            ],
            **more,
        }
        data = json.dumps(manifest).encode()
        reply = self.ask("PUT", f"/v2/{name}/manifests/{tag or sha256(data)}", data, Content_Type=media.OCI_MANIFEST)
        assert reply.status == 201, reply
        return sha256(data), manifest


class Running:
    """A registry with its client."""

    def __init__(self, root: Path, *flags: str) -> None:
        self.options = main.parse(["--root", str(root), *flags])
        self.registry = main.Registry(self.options)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.client = Client(self.listening.getsockname()[1])
        self._thread = threading.Thread(target=self.registry.serve, args=(self.listening,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self.registry.close()
            self._thread.join(5)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def make(*flags: str, root: str = "registry") -> Running:
        running.append(Running(tmp_path / root, *flags))
        return running[-1]

    yield make
    for each in running:
        each.close()


@pytest.fixture
def running(start: Callable[..., Running]) -> Running:
    return start("--delete")


@pytest.fixture
def client(running: Running) -> Client:
    return running.client
