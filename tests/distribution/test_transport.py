# SPDX-License-Identifier: Apache-2.0
"""Connections to a registry are kept, whatever an answer carries, and given up with a body that nobody reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast.distribution.transport import Transport


class Handler(BaseHTTPRequestHandler):
    """Answers `/STATUS/LENGTH`, without a length where that is `none`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        _, status, length = self.path.split("/")
        self.send_response(int(status))
        if length != "none":
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD" and length != "none":
            self.wfile.write(bytes(int(length)))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True
    connections = 0

    def handle_error(self, *arguments: object) -> None:
        """A client that leaves early is no error of the server's."""

    def get_request(self) -> tuple[object, object]:
        self.connections += 1
        return super().get_request()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("HEAD", "200/500"), ("HEAD", "404/12"), ("PATCH", "202/0"), ("GET", "204/none"), ("GET", "200/70000")],
)
def test_a_connection_is_kept(server: Server, method: str, path: str) -> None:
    transport = Transport(certs_dirs=())

    for _ in range(4):
        url = f"http://127.0.0.1:{server.server_address[1]}/{path}"
        with transport.exchange(method, url, headers={}, body=b"x" if method == "PATCH" else None) as answer:
            if path == "200/70000":
                answer.read(1 << 20)

    assert server.connections == 1


def test_a_body_that_nobody_read_ends_its_connection(server: Server) -> None:
    transport = Transport(certs_dirs=())

    for _ in range(2):
        with transport.exchange("GET", f"http://127.0.0.1:{server.server_address[1]}/200/70000", headers={}):
            pass

    assert server.connections == 2
