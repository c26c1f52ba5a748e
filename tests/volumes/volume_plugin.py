# SPDX-License-Identifier: Apache-2.0
"""A volume plugin as others write them: a small server at a socket that keeps volumes as directories."""

import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


class Fake:
    """Keeps volumes as directories, remembers what it was asked, and says no when told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.implements = ["VolumeDriver"]
        self.answers: dict[str, Any] = {}
        self.status: dict[str, Any] = {}

    def answer(self, call: str, document: dict[str, Any]) -> Any:
        self.asked.append((call, document))
        if call in self.answers:
            return self.answers[call]
        if call == "Plugin.Activate":
            return {"Implements": self.implements}
        path = self.root / document.get("Name", "")
        if call == "VolumeDriver.Create":
            path.mkdir()
        if call == "VolumeDriver.Remove":
            shutil.rmtree(path, ignore_errors=True)
        if call == "VolumeDriver.Get":
            return (
                {"Volume": {"Name": path.name, "Status": self.status}} if path.exists() else {"Err": "no such volume"}
            )
        if call == "VolumeDriver.List":
            return {"Volumes": [{"Name": each.name, "Mountpoint": str(each)} for each in sorted(self.root.iterdir())]}
        return {"Mountpoint": str(path)} if call == "VolumeDriver.Mount" else {}


class Handler(BaseHTTPRequestHandler):
    """HTTP as dockerd's Go speaks it, and ours."""

    fake: Fake

    def do_POST(self) -> None:
        body = self._body()
        answer = self.fake.answer(self.path[1:], json.loads(body or b"{}"))
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        return

    def address_string(self) -> str:
        return "socket"


@contextmanager
def answering(server: socketserver.BaseServer) -> Iterator[None]:
    """A server that works for as long as the block takes."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served(directory: Path, name: str = "far", root: Path | None = None) -> Iterator[Fake]:
    """A plugin, listening in a plugin directory, for as long as the block takes."""
    made = Fake(root or directory.parent / "remote")
    made.root.mkdir(exist_ok=True)
    directory.mkdir(exist_ok=True)
    handler = type("Answers", (Handler,), {"fake": made})
    with answering(socketserver.ThreadingUnixStreamServer(str(directory / f"{name}.sock"), handler)):
        yield made


@contextmanager
def served_on_tcp(root: Path) -> Iterator[tuple[Fake, int]]:
    """The same, on a port of 127.0.0.1."""
    made = Fake(root)
    made.root.mkdir(exist_ok=True)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Answers", (Handler,), {"fake": made}))
    with answering(server):
        yield made, server.server_address[1]
