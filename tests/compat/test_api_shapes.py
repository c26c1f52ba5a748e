# SPDX-License-Identifier: Apache-2.0
"""The JSON of the endpoints has the keys and types of dockerd's, in every version of the API.

Values are not compared here; a null of one side fits a list or an object of the other only where it is listed below.
"""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
STATS_VERSIONS = ("1.24", "1.41", "1.51")
"""A look at stats costs dockerd a second or two."""
VERSIONS = tuple(f"1.{minor}" for minor in range(24, 52))
MAKE = f"""
docker rm -fv shapes stopped >/dev/null 2>&1
docker run -d --name shapes -p 18301:80 -v shapes-v:/v --mount type=bind,src=/tmp,dst=/b,ro --tmpfs /t -l a=b -e A=1 \\
  --ulimit nofile=900:900 --health-cmd true --health-interval 1h -m 64m --cpus 0.5 {IMAGE} sleep 1000 >/dev/null
docker run --name stopped --health-cmd true --restart on-failure:1 {IMAGE} true
docker exec shapes touch /made
for command in '["false"]' '["true"]'; do
  curl -s --unix-socket $SOCKET -X POST -H 'Content-Type: application/json' -d "{{{{\\"Cmd\\":$command,\\"AttachStdout\\":true}}}}" \\
    http://d/v1.51/containers/shapes/exec | cut -d'"' -f4
done
"""
ENDPOINTS = (
    "version",
    "info",
    "containers/json?all=1",
    "containers/json?size=1",
    "containers/shapes/json",
    "containers/shapes/json?size=1",
    "containers/shapes/top",
    "containers/shapes/top?ps_args=aux",
    "containers/shapes/changes",
    "containers/shapes/stats?stream=0&one-shot=1",
    "containers/shapes/logs?stdout=1&tail=0",
    "containers/stopped/json",
    "containers/stopped/stats?stream=0",
    "system/df",
    "images/json",
    f"images/{IMAGE}/json",
    f"images/{IMAGE}/history",
    "networks",
    "networks/bridge",
    "networks/none",
    "volumes",
    "volumes/shapes-v",
    "exec/EXEC/json",
    "exec/DONE/json",
    "events?since=1&until=1000000000",
    "plugins",
    "nosuch",
)
# (endpoint, path of keys): why it may differ. A path that begins so is not compared.
ACCEPTED = {
    ("system/df", ".Images[].RepoTags"): "null for an image without a name, which another test may have left",
    ("containers/shapes/stats", ".id"): "dockerd forgets it in one-shot answers",
    ("containers/shapes/stats", ".name"): "dockerd forgets it in one-shot answers",
    ("version", ".Components"): "dockerd lists containerd, runc and docker-init; Holdfast is one component",
    ("version", ".BuildTime"): "Holdfast is not compiled",
    ("info", ".InitCommit.Expected"): "dockerd leaves it out where a docker-init is installed and says no version",
    ("info", ".Runtimes"): "other runtimes, and no feature document of theirs",
    ("info", ".Containerd"): "there is no containerd",
    ("info", ".DriverStatus"): "facts of the snapshotter",
    ("info", ".Plugins.Authorization"): "no plugins",
    ("info", ".KernelMemoryTCP"): "a limit that Docker has given up",
    ("info", ".Warnings"): "what each daemon has to say of this host",
    ("info", ".CDISpecDirs[]"): "no CDI devices yet",
}


def shape(value: Any, path: str, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Every path of keys with the types seen there; keys that are names of things become `*`."""
    found.setdefault(path, set()).add(type(value).__name__)
    if isinstance(value, dict):
        for key, each in value.items():
            is_name = re.search(r"[0-9a-f]{64}|^\d+/(tcp|udp)$|[/.]|^\d", key) or path.endswith(
                (".Labels", ".Attributes")
            )
            shape(each, f"{path}.{'*' if is_name else key}", found)
    elif isinstance(value, list):
        for each in value:
            shape(each, f"{path}[]", found)
    return found


def documents(text: str) -> Any:
    """One JSON document, or the list of several."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found[0] if len(found) == 1 else found


class Client:
    """GET requests on one kept connection."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("d", timeout=20)
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.settimeout(20)
        self._connection.sock.connect(str(daemon.socket))

    def ask(self, method: str, target: str, body: object = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


class Made:
    """The containers of one daemon, and who asks about them."""

    def __init__(self, daemon: Daemon) -> None:
        made = daemon.sh(MAKE)
        fresh, done = made.stdout.split()[-2:]
        self.client = Client(daemon)
        self.client.ask("POST", f"/exec/{done}/start", {"Detach": True})
        self.names = {"EXEC": fresh, "DONE": done}

    def answers(self, version: str) -> dict[str, dict[str, set[str]]]:
        found: dict[str, dict[str, set[str]]] = {}
        for endpoint in ENDPOINTS:
            if "/stats" in endpoint and version not in STATS_VERSIONS:
                continue
            target = re.sub("EXEC|DONE", lambda match: self.names[match[0]], endpoint)
            status, text = self.client.ask("GET", f"/v{version}/{target}")
            found[endpoint] = {f"status {status}": set(), **shape(documents(text.decode()), "", {})}
        return found


@pytest.fixture(scope="module")
def made(dockerd: Daemon, holdfastd: Daemon) -> Iterator[tuple[Made, Made]]:
    yield Made(dockerd), Made(holdfastd)
    for daemon in (dockerd, holdfastd):
        daemon.sh("docker rm -fv shapes stopped; docker volume rm shapes-v")


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_have_dockers_keys_and_types(version: str, made: tuple[Made, Made]) -> None:
    theirs, ours = (each.answers(version) for each in made)

    different: list[str] = []
    for endpoint in theirs:
        accepted = tuple(path for place, path in ACCEPTED if place in (endpoint, endpoint.partition("?")[0]))
        for path in sorted(theirs[endpoint].keys() | ours[endpoint].keys()):
            left, right = theirs[endpoint].get(path), ours[endpoint].get(path)
            if left != right and not path.startswith(accepted or ("\0",)):
                different.append(f"{endpoint} {path}: dockerd {left}, holdfast {right}")
    assert not different, "\n".join(different)
