# SPDX-License-Identifier: Apache-2.0
"""The four curl calls by which the book explains `docker run hello-world`: API v1.27 on plain tcp, byte for byte.

Ids, the image's digest and sizes are the registry's; everything else is as printed there.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
from compat_case import Daemon

API = "127.0.0.1:2375/v1.27"
CREATE = (
    f"""curl -s {API}/containers/create -X POST -H "Content-Type: application/json" -d '{{"Image": "hello-world"}}'"""
)
PULL = f"curl -s '{API}/images/create?fromImage=hello-world&tag=latest' -X POST"


class Start(Protocol):
    def __call__(self, name: str, home: Path, *flags: str) -> AbstractContextManager[Daemon]: ...


class StartRegistry(Protocol):
    def __call__(self, netns: str, folder: Path) -> AbstractContextManager[str]: ...


@pytest.fixture
def daemon(start_holdfastd: Start, start_registry: StartRegistry, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on tcp, whose docker.io is a registry on its loopback."""
    name = f"hf-seed-{tmp_path.name[-20:].replace('_', '-')}-{id(tmp_path) % 10000}"
    flags = ("-H", "tcp://127.0.0.1:2375", "--registry-mirror", "http://127.0.0.1:5001")
    with start_holdfastd(name, Path("/var/tmp") / name, *flags) as made, start_registry(name, tmp_path):
        for line in made.sh("docker images -q").stdout.split():
            made.sh(f"docker rmi -f {line}")
        yield made


def test_the_four_calls_print_what_the_book_prints(daemon: Daemon, tmp_path: Path) -> None:
    assert daemon.sh(CREATE).stdout == '{"message":"No such image: hello-world:latest"}\n'

    daemon.sh(f"{PULL} -o pulled", folder=tmp_path)
    lines = (tmp_path / "pulled").read_bytes().decode().split("\r\n")
    expected = [
        r'{"status":"Pulling from library/hello-world","id":"latest"}',
        r'{"status":"Pulling fs layer","progressDetail":{},"id":"<layer>"}',
        r'{"status":"Downloading","progressDetail":{"current":<n>,"total":<n>},"progress":"<bar>","id":"<layer>"}',
        r'{"status":"Verifying Checksum","progressDetail":{},"id":"<layer>"}',
        r'{"status":"Download complete","progressDetail":{},"id":"<layer>"}',
        r'{"status":"Extracting","progressDetail":{"current":<n>,"total":<n>},"progress":"<bar>","id":"<layer>"}',
        r'{"status":"Pull complete","progressDetail":{},"id":"<layer>"}',
        r'{"status":"Digest: sha256:<digest>"}',
        r'{"status":"Status: Downloaded newer image for hello-world:latest"}',
        "",
    ]
    shown = [_without_numbers(line) for line in lines]
    assert [line for index, line in enumerate(shown) if index == 0 or line != shown[index - 1]] == expected

    created = daemon.sh(CREATE).stdout
    assert re.fullmatch(r'\{"Id":"[0-9a-f]{64}","Warnings":null\}\n', created)
    identity = created[7:71]

    script = (
        f"""curl -s '{API}/containers/{identity}/attach?stderr=1&stdout=1&stream=1' -d '{{"Connection": "Upgrade", "Upgrade":"tcp"}}' """
        f"--output out & sleep 0.5; curl -s -w '%{{http_code}}' {API}/containers/{identity}/start -X POST; wait; cat out"
    )
    ran = daemon.sh(script, folder=tmp_path)

    assert ran.stdout.startswith("204")
    assert "\nHello from Docker!\n" in _unframed(ran.stdout[3:].encode())


def _without_numbers(line: str) -> str:
    line = re.sub(r'"id":"[0-9a-f]{12}"', '"id":"<layer>"', line)
    line = re.sub(r"sha256:[0-9a-f]{64}", "sha256:<digest>", line)
    line = re.sub(r'"progress":"\[[=]+\\u003e *\] +[0-9.]+k?B/[0-9.]+k?B"', '"progress":"<bar>"', line)
    return re.sub(r'"(current|total)":\d+', r'"\1":<n>', line)


def _unframed(data: bytes) -> str:
    text = b""
    while data:
        size = int.from_bytes(data[4:8], "big")
        assert data[:4] in (b"\1\0\0\0", b"\2\0\0\0")
        text += data[8 : 8 + size]
        data = data[8 + size :]
    return text.decode()
