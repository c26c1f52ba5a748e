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
            return {"Volume": {"Name": path.name, "Mountpoint": ""}}
        return {"Mountpoint": str(path)} if call == "VolumeDriver.Mount" else {}


@contextmanager
def served(directory: Path) -> Iterator[Fake]:
    """The plugin `far`, listening in a plugin directory, for as long as the block takes."""
    made = Fake(directory.parent / "remote")
    made.root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = made.answer(self.path[1:], json.loads(body))
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            return

        def address_string(self) -> str:
            return "socket"

    directory.mkdir()
    server = socketserver.ThreadingUnixStreamServer(str(directory / "far.sock"), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
