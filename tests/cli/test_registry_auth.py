# SPDX-License-Identifier: Apache-2.0
"""config.json as the place of log-ins: what the docker CLI wrote is read, what we write it can read."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from holdfast.cli import registry_auth
from holdfast.cli.registry_auth import HUB, ConfigFile
from holdfast.errors import InvalidArgument

HELPER = """#!/bin/sh
# a credential helper that keeps one secret per server in files
folder=$(dirname "$0")/store; mkdir -p "$folder"
case $1 in
store) cat > "$folder/new"; name=$(sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/' "$folder/new" | tr / _); mv "$folder/new" "$folder/$name" ;;
get) name=$(cat | tr / _); cat "$folder/$name" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) name=$(cat | tr / _); rm -f "$folder/$name" ;;
esac
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "docker" / "config.json")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("", HUB),
        ("docker.io", HUB),
        (HUB, HUB),
        ("https://r.example/v2/", "r.example"),
        ("localhost:5000", "localhost:5000"),
    ],
)
def test_servers_have_dockers_keys(given: str, server: str) -> None:
    assert registry_auth.server_of(given) == server


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("alpine", HUB),
        ("team/app:1", HUB),
        ("localhost/x", "localhost"),
        ("r.example:5000/a/b@sha256:1", "r.example:5000"),
    ],
)
def test_an_images_name_leads_to_its_server(image: str, server: str) -> None:
    assert registry_auth.server_of_image(image) == server


def test_what_is_put_comes_back_and_the_file_is_private(path: str) -> None:
    ConfigFile(path).put("r.example", {"username": "alice", "password": "se:cret"})

    assert ConfigFile(path).get("r.example") == {
        "serveraddress": "r.example",
        "username": "alice",
        "password": "se:cret",
    }
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert ConfigFile(path).get("other.example") == {}


def test_the_rest_of_the_file_stays(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    auth = base64.b64encode(b"bob:x").decode()
    before = {"auths": {"https://r.example/v1/": {"auth": auth}}, "currentContext": "c", "HttpHeaders": {"a": "b"}}
    Path(path).write_text(json.dumps(before))

    config = ConfigFile(path)
    assert config.get("r.example")["username"] == "bob"
    assert config.drop("r.example")
    assert not ConfigFile(path).drop("r.example")

    assert json.loads(Path(path).read_text()) == {**before, "auths": {}}


def test_a_link_is_followed(path: str, tmp_path: Path) -> None:
    os.makedirs(os.path.dirname(path))
    (tmp_path / "real.json").write_text("{}")
    os.symlink(tmp_path / "real.json", path)

    ConfigFile(path).put("r.example", {"username": "a", "password": "b"})

    assert os.path.islink(path)
    assert "r.example" in (tmp_path / "real.json").read_text()


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_keeps_the_secret(path: str, helper: Path, key: str) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_text(json.dumps({key: "test" if key == "credsStore" else {"r.example": "test"}}))

    ConfigFile(path).put("r.example", {"username": "alice", "password": "canary"})

    assert "canary" not in Path(path).read_text()
    assert base64.b64encode(b"alice:canary").decode() not in Path(path).read_text()
    assert ConfigFile(path).get("r.example")["password"] == "canary"
    assert ConfigFile(path).drop("r.example")
    assert ConfigFile(path).get("r.example") == {}


def test_a_token_goes_through_a_helper_as_docker_does_it(path: str, helper: Path) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_text('{"credsStore": "test"}')

    ConfigFile(path).put("r.example", {"username": "alice", "password": "", "identitytoken": "t0k"})

    assert ConfigFile(path).get("r.example") == {"serveraddress": "r.example", "identitytoken": "t0k"}


@pytest.mark.parametrize("name", ["../evil", "a b", "/bin/sh", "missing-helper"])
def test_a_helper_that_is_none_is_refused(path: str, name: str) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_text(json.dumps({"credsStore": name}))

    with pytest.raises(InvalidArgument):
        ConfigFile(path).get("r.example")


def test_a_damaged_file_is_named(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_text("{")

    with pytest.raises(InvalidArgument, match=r"config\.json"):
        ConfigFile(path)


def test_the_header_is_what_the_daemon_reads() -> None:
    from holdfast.distribution import credentials

    header = registry_auth.header({"username": "alice", "password": "ünïcode?"})["X-Registry-Auth"]

    assert credentials.from_header(header).password == "ünïcode?"
