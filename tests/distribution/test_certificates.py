# SPDX-License-Identifier: Apache-2.0
"""Who is trusted over https: hosts.toml's certificates, the folder of the host, client certificates."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from holdfast.distribution import ANONYMOUS, Cancellation, Registries, RegistryConfig
from holdfast.distribution.http import Unreachable
from holdfast.errors import InvalidArgument
from holdfast.oci import reference as references

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Authority:
    """Two authorities' files: one for the server, one for its clients."""

    def __init__(self, folder: Path) -> None:
        self.server, self.clients = trustme.CA(), trustme.CA()
        self.server.cert_pem.write_to_path(str(folder / "server-ca.crt"))
        mine = self.clients.issue_cert("client@example")
        mine.cert_chain_pems[0].write_to_path(str(folder / "client.cert"))
        mine.private_key_pem.write_to_path(str(folder / "client.key"))
        self.folder = folder


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def host(authority: Authority) -> Iterator[str]:
    """A registry on https that wants a certificate of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.server.issue_cert("localhost").configure_cert(context)
    authority.clients.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as sock:
                    sock.recv(65536)
                    sock.sendall(ANSWER)
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield f"localhost:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def probe(certs: Path, host: str) -> None:
    registries = Registries(RegistryConfig(certs_dirs=(str(certs),)))
    [remote] = registries.readers(references.parse(f"{host}/x"), ANONYMOUS)
    try:
        remote.probe(Cancellation())
    finally:
        registries.close()


def configure(tmp_path: Path, host: str, text: str) -> Path:
    folder = tmp_path / "certs" / host
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.toml").write_text(f'server = "https://{host}"\n{text}')
    return folder


def test_hosts_toml_names_the_certificates(tmp_path: Path, host: str, authority: Authority) -> None:
    both = f'client = [["{tmp_path}/client.cert", "{tmp_path}/client.key"]]\n'
    configure(tmp_path, host, f'ca = "{tmp_path}/server-ca.crt"\n{both}')

    probe(tmp_path / "certs", host)


def test_the_folder_of_the_host_holds_dockers_files(tmp_path: Path, host: str, authority: Authority) -> None:
    folder = configure(tmp_path, host, "")
    for name, target in (("ca.crt", "server-ca.crt"), ("client.cert", "client.cert"), ("client.key", "client.key")):
        (folder / name).write_bytes((tmp_path / target).read_bytes())

    probe(tmp_path / "certs", host)


def test_a_stranger_is_not_trusted(tmp_path: Path, host: str) -> None:
    configure(tmp_path, host, "")

    with pytest.raises(Unreachable, match="x509"):
        probe(tmp_path / "certs", host)


def test_a_certificate_that_is_none_is_named(tmp_path: Path, host: str) -> None:
    configure(tmp_path, host, 'ca = "missing.pem"\n')

    with pytest.raises(InvalidArgument, match=r"missing\.pem"):
        probe(tmp_path / "certs", host)
