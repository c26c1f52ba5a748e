# SPDX-License-Identifier: Apache-2.0
"""A small forward proxy that wants a password: plain requests and CONNECT tunnels. It knows one host, whatever its name.

Used by tests in a thread, and as a program: `forward_proxy.py PORT TARGET_HOST:PORT LOG`, which logs a line per request.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER, PASSWORD = "prox", "p%40ss:word"
WANTED = "Basic " + base64.b64encode(b"prox:p@ss:word").decode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def is_known(self) -> bool:
        self.server.seen.append(f"{self.command} {self.path}")
        if self.headers.get("Proxy-Authorization") == WANTED:
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def forward(self) -> None:
        if not self.is_known():
            return
        scheme, _, rest = self.path.partition("://")
        assert scheme == "http", self.path
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        connection = http.client.HTTPConnection(*self.server.target, timeout=20)
        connection.request(self.command, "/" + rest.partition("/")[2], body, headers)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length") or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self.forward
        raise AttributeError(name)

    def do_CONNECT(self) -> None:
        if not self.is_known():
            return
        with socket.create_connection(self.server.target) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pump, args=(upstream, self.connection), daemon=True)
            back.start()
            pump(self.connection, upstream)
            back.join()
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        return


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copies until either end has had enough."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Proxy(ThreadingHTTPServer):
    """The proxy; `seen` are the request lines, `url` is how to configure it."""

    daemon_threads = True

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.target = target
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Log(list[str]):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def append(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(line + "\n")


def main() -> None:
    host, _, port = sys.argv[2].partition(":")
    proxy = Proxy((host, int(port)), int(sys.argv[1]))
    proxy.seen = _Log(Path(sys.argv[3]))
    threading.Event().wait()


if __name__ == "__main__":
    main()
