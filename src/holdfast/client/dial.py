# SPDX-License-Identifier: Apache-2.0
"""Connects to an endpoint and returns a stream: unix socket, TCP, TLS, or the `ssh` binary's stdio.

It waits for nothing but the connection itself and starts no daemon (`client.embedded` does). Callers: `client.api`.
`_socket` is used for plain connections because importing `socket` alone costs the CLI 5 ms.
"""

from __future__ import annotations

import _socket
import os

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.client.address import Endpoint, Tls
    from holdfast.client.http import Stream


def dial(endpoint: Endpoint) -> Stream:
    """Returns a connected stream; raises Unavailable with Docker's wording when nobody listens there."""
    try:
        if endpoint.scheme == "unix":
            stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            stream.connect(endpoint.address)
            return stream
        if endpoint.scheme == "ssh":
            return _dial_ssh(endpoint.address)
        return _dial_tcp(endpoint)
    except PermissionError as error:
        raise errors.Forbidden(
            f"permission denied while trying to connect to the Docker daemon socket at {endpoint}: "
            "run as root or join the socket's group"
        ) from error
    except OSError as error:
        raise errors.Unavailable(
            f"Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running? ({error.strerror or error})"
        ) from error


def _dial_tcp(endpoint: Endpoint) -> Stream:
    import socket

    host, _, port = endpoint.address.rpartition(":")
    raw = socket.create_connection((host.strip("[]"), int(port)))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if endpoint.tls is None:
        return raw
    return _wrap_tls(raw, host.strip("[]"), endpoint.tls)


def _wrap_tls(raw: object, host: str, tls: Tls) -> Stream:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.verify:
        context.load_verify_locations(cafile=tls.ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if os.path.exists(tls.cert):
        context.load_cert_chain(tls.cert, tls.key)
    return context.wrap_socket(raw, server_hostname=host)  # pyright: ignore[reportArgumentType, reportReturnType]


class _Pipes:
    """Two pipe ends of an ssh process as one stream."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd

    def recv(self, size: int, /) -> bytes:
        return os.read(self._read_fd, size)

    def sendall(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._write_fd, view) :]

    def shutdown(self, _how: int, /) -> None:
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def close(self) -> None:
        self.shutdown(_socket.SHUT_WR)
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1

    def fileno(self) -> int:
        return self._read_fd


def _dial_ssh(address: str) -> Stream:
    import subprocess

    destination, _, port = address.partition(":")
    command = ["ssh", *(["-p", port] if port else []), "-o", "ConnectTimeout=30", "-T", "--", destination]
    # `docker system dial-stdio` is what Docker's own client runs on the far side.
    process = subprocess.Popen(
        [*command, "docker", "system", "dial-stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return _Pipes(os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno()))
