# SPDX-License-Identifier: Apache-2.0
"""A small registry on loopback that can misbehave, and a recording twin of the image store."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from shelf import Shelf, made_pusher

from holdfast import content, metadata
from holdfast.distribution import Origins, Pusher, pull, retry
from holdfast.distribution.endpoints import RegistryConfig
from holdfast.distribution.registries import Registries
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media

OCI_MANIFEST = media.OCI_MANIFEST
Behaviour = Callable[["Handler"], bool]


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Rule:
    needle: str
    behaviour: Behaviour
    times: int


@dataclass
class Document:
    data: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    """One request; asks the rules first, then answers as a good registry."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.serve()

    def do_PUT(self) -> None:
        self.serve()

    def do_PATCH(self) -> None:
        self.serve()

    def do_HEAD(self) -> None:
        self.serve()

    def do_DELETE(self) -> None:
        self.serve()

    def log_message(self, *args: object) -> None:
        return

    def serve(self) -> None:
        registry = self.server.registry
        with registry.lock:
            registry.seen.append(Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            matching = [rule for rule in registry.rules if rule.needle in self.path and rule.times > 0]
        for rule in matching:
            rule.times -= 1
            if rule.behaviour(self):
                return
        self.answer_well()

    def answer_well(self) -> None:
        registry = self.server.registry
        path = self.path.partition("?")[0]
        if self.command in ("PUT", "PATCH", "DELETE") or "/blobs/uploads/" in path:
            self.take(path)
        elif "/manifests/" in path:
            document = registry.manifests.get(path.rpartition("/manifests/")[2])
            if document is None:
                self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            else:
                self.reply(200, document.data, {"Content-Type": document.media_type, **document.headers})
        elif "/blobs/" in path:
            self.answer_blob(registry.blobs.get(path.rpartition("/blobs/")[2]))
        elif path == "/v2/":
            self.reply(200, b"{}", {})
        elif path.endswith("/tags/list"):
            self.reply(200, json.dumps({"name": "x", "tags": registry.tags}).encode(), {})
        else:
            self.reply(404, b"404 page not found", {"Content-Type": "text/plain"})

    def take(self, path: str) -> None:
        """Uploads, and manifests that are pushed."""
        registry = self.server.registry
        size = int(self.headers.get("Content-Length", "0"))
        if "/manifests/" in path:
            data = self.rfile.read(size)
            digest = registry.add_document(path.rpartition("/")[2], data, self.headers["Content-Type"])
            self.reply(201, b"", {"Docker-Content-Digest": digest})
            return
        if self.command == "POST":
            query = dict(parse_qsl(self.path.partition("?")[2]))
            if query.get("mount") in registry.mountable.get(query.get("from", ""), ()):
                self.reply(201, b"", {})
                return
            registry.uploads.append(bytearray())
            self.reply(202, b"", {"Location": f"{path}{len(registry.uploads) - 1}?state=1"})
            return
        received = registry.uploads[int(path.rpartition("/")[2])]
        span = {"Location": self.path, "Range": f"0-{max(0, len(received) - 1)}"}
        if self.command in ("GET", "DELETE"):
            self.reply(204, b"", span)
            return
        while size and (data := self.rfile.read1(min(size, 4096))):
            received += data
            size -= len(data)
            if registry.breaks_after and len(received) >= registry.breaks_after:
                registry.breaks_after = 0
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
        if self.command == "PUT":
            wanted = dict(parse_qsl(self.path.partition("?")[2]))["digest"]
            if sha256(bytes(received)) != wanted:
                self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
                return
            registry.add_blob(bytes(received))
            self.reply(201, b"", {})
        else:
            self.reply(202, b"", {"Location": self.path, "Range": f"0-{len(received) - 1}"})

    def answer_blob(self, data: bytes | None) -> None:
        if data is None:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self.reply(206, data[start:], span)
        else:
            self.reply(200, data, {})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> bool:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> bool:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        return self.reply(status, body, {"Content-Type": "application/json", **(headers or {})})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: Registry


class Registry:
    """State and rules of one registry; `host` is where it listens."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, Document] = {}
        self.tags: list[str] = []
        self.seen: list[Seen] = []
        self.rules: list[Rule] = []
        self.uploads: list[bytearray] = []
        self.mountable: dict[str, set[str]] = {}
        self.breaks_after = 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.registry = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def misbehave(self, needle: str, behaviour: Behaviour, times: int = 1_000_000) -> None:
        self.rules.append(Rule(needle, behaviour, times))

    def add_blob(self, data: bytes) -> str:
        digest = sha256(data)
        self.blobs[digest] = data
        return digest

    def add_document(self, name: str, value: Any, media_type: str = OCI_MANIFEST, **headers: str) -> str:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        digest = sha256(data)
        document = Document(data, media_type, {key.replace("_", "-"): text for key, text in headers.items()})
        self.manifests[name] = self.manifests[digest] = document
        return digest

    def manifest(self, *plain_layers: bytes, architecture: str = "amd64") -> dict[str, Any]:
        """Adds the blobs of an image and returns its manifest, for the test to spoil."""
        layers: list[dict[str, Any]] = []
        for plain in plain_layers:
            blob = gzip.compress(plain, mtime=0)
            digest = self.add_blob(blob)
            layers.append({"mediaType": media.OCI_LAYER_GZIP, "digest": digest, "size": len(blob)})
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [sha256(plain) for plain in plain_layers]},
            }
        ).encode()
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": media.OCI_CONFIG, "digest": self.add_blob(config), "size": len(config)},
            "layers": layers,
        }

    def add_image(self, tag: str, *plain_layers: bytes) -> str:
        return self.add_document(tag, self.manifest(*plain_layers))

    def requests(self, needle: str) -> list[Seen]:
        with self.lock:
            return [seen for seen in self.seen if needle in seen.path]


class RecordingImages:
    """Unpacks nothing, but checks the diff id as the image store does."""

    def __init__(self, store: content.Store) -> None:
        self.store = store
        self.chains: list[str] = []
        self.names: dict[str, tuple[str, str]] = {}
        self.image_ids: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()

    def is_whole(self, image: Any) -> bool:
        if image not in self.image_ids or not self.store.has(image) or sha256(self.store.open(image).read()) != image:
            return False
        layers = self.image_ids[image]["layers"]
        return all(self.store.has(layer["digest"], layer["size"]) for layer in layers)

    def owner_of(self, reference: Any) -> Any:
        found = self.names.get(reference.familiar)
        return found[1] if found else None

    def platform_of(self, image: Any) -> Any:
        return documents.decode_config(self.store.read(image, 1 << 20)).platform

    def has_chain(self, chain_id: str) -> bool:
        return chain_id in self.chains

    def unpack_layer(self, descriptor: Any, parent: Any, diff_id: Any, on_read: Callable[[int], None]) -> Any:
        self.store.verify(descriptor.digest)
        data = self.store.open(descriptor.digest).read()
        on_read(len(data))
        assert sha256(gzip.decompress(data)) == diff_id
        with self.lock:
            assert parent is None or parent in self.chains
            self.chains.append(digests.chain(parent, diff_id))
        return self.chains[-1]

    def register(self, reference: Any, *, top: Any, manifest: Any) -> bool:
        document = json.loads(self.store.read(manifest, 1 << 26))
        before = self.names.get(reference.familiar)
        for name in (reference, reference.without_suffix().with_digest(top)):
            self.names[name.familiar] = (str(top), document["config"]["digest"])
        self.image_ids[document["config"]["digest"]] = document
        return before != self.names[reference.familiar]


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.close()


@pytest.fixture
def other_registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Any) -> content.Store:
    return content.Store(str(tmp_path / "content"))


@pytest.fixture
def images(store: content.Store) -> RecordingImages:
    return RecordingImages(store)


@pytest.fixture
def puller(store: content.Store, images: RecordingImages) -> Iterator[pull.Puller]:
    policy = retry.Policy(attempts=4, deadline_seconds=5.0, first_delay_seconds=0.02, max_delay_seconds=0.05)
    registries = Registries(RegistryConfig(certs_dirs=()), policy=policy)
    made = pull.Puller(store=store, images=images, registries=registries)
    yield made
    made.close()


@pytest.fixture
def shelf(store: Any) -> Shelf:
    return Shelf(store)


@pytest.fixture
def database(tmp_path: Path) -> metadata.Store:
    return metadata.Store(tmp_path / "metadata.db")


@pytest.fixture
def origins(database: metadata.Store) -> Origins:
    return Origins(database)


@pytest.fixture
def pusher(store: Any, shelf: Shelf, database: metadata.Store) -> Iterator[Pusher]:
    with made_pusher(store, shelf, database) as made:
        yield made
