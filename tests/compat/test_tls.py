# SPDX-License-Identifier: Apache-2.0
"""`docker --tlsverify` against `holdfastd --tlsverify`: half-closed input, exec, and who is turned away."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
import trustme
from compat_case import Daemon


class Start(Protocol):
    def __call__(self, name: str, home: Path, *flags: str) -> AbstractContextManager[Daemon]: ...


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three DOCKER_CERT_PATH folders: of a good client, of another authority's client, and of one with no certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = trustme.CA(), trustme.CA()
    server = ours.issue_cert("127.0.0.1", "localhost")
    server.private_key_pem.write_to_path(folder / "key.pem")
    for index, part in enumerate(server.cert_chain_pems):
        part.write_to_path(folder / "cert.pem", append=index > 0)
    ours.cert_pem.write_to_path(folder / "ca.pem")
    for name, authority in (("good", ours), ("wrong", other)):
        (folder / name).mkdir()
        client = authority.issue_cert("client@example.org")
        client.private_key_pem.write_to_path(folder / name / "key.pem")
        for index, part in enumerate(client.cert_chain_pems):
            part.write_to_path(folder / name / "cert.pem", append=index > 0)
        ours.cert_pem.write_to_path(folder / name / "ca.pem")
    return folder


@pytest.fixture(scope="module")
def daemon(start_holdfastd: Start, certificates: Path, archive: Path) -> Iterator[Daemon]:
    name = f"hf-tls-{id(certificates) % 1000000}"
    flags = ["-H", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", str(certificates / "ca.pem")]
    flags += ["--tlscert", str(certificates / "cert.pem"), "--tlskey", str(certificates / "key.pem")]
    with start_holdfastd(name, Path("/var/tmp") / name, *flags) as made:
        loaded = made.sh(f"docker load -i {archive}")
        assert loaded.returncode == 0, loaded.stderr
        yield made


def by_tls(certificates: Path, who: str, script: str) -> str:
    return (
        f"export DOCKER_HOST=tcp://127.0.0.1:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={certificates / who}; {script}"
    )


def test_input_may_be_half_closed(daemon: Daemon, certificates: Path) -> None:
    script = "echo in | docker run -i --rm alpine:3.20 sh -c 'cat; sleep 0.3; echo after; echo err >&2; exit 5'"
    done = daemon.sh(by_tls(certificates, "good", script))

    assert (done.stdout, done.stderr, done.returncode) == ("in\nafter\n", "err\n", 5)


def test_megabytes_go_through_unharmed(daemon: Daemon, certificates: Path) -> None:
    script = "head -c 20000000 /dev/zero | docker run -i --rm alpine:3.20 cat | sha256sum; head -c 20000000 /dev/zero | sha256sum"
    done = daemon.sh(by_tls(certificates, "good", script))

    first, second = done.stdout.splitlines()
    assert first == second


def test_exec_logs_and_stop(daemon: Daemon, certificates: Path) -> None:
    script = (
        "docker run -d --name tls1 alpine:3.20 sh -c 'echo logged; sleep 100'; echo in | docker exec -i tls1 cat;"
        "docker exec tls1 sh -c 'exit 6'; echo $?; docker logs tls1; docker stop -t 0 tls1; docker wait tls1; docker rm tls1"
    )
    done = daemon.sh(by_tls(certificates, "good", script))

    assert done.stdout.splitlines()[1:] == ["in", "6", "logged", "tls1", "137", "tls1"]
    assert done.stderr == ""


def test_another_authoritys_client_is_turned_away(daemon: Daemon, certificates: Path) -> None:
    done = daemon.sh(by_tls(certificates, "wrong", "docker version"))

    assert done.returncode == 1
    assert "tls: " in done.stderr
    assert "Server:" not in done.stdout


def test_a_client_without_certificate_is_turned_away(daemon: Daemon, certificates: Path) -> None:
    done = daemon.sh(f"curl -s --cacert {certificates / 'ca.pem'} https://127.0.0.1:2376/_ping; echo $?")

    assert done.stdout.strip() != "0"
    assert "OK" not in done.stdout


def test_a_client_without_tls_is_turned_away(daemon: Daemon) -> None:
    done = daemon.sh("curl -s -m 5 http://127.0.0.1:2376/_ping; DOCKER_HOST=tcp://127.0.0.1:2376 docker ps")

    assert "OK" not in done.stdout
    assert done.returncode == 1
