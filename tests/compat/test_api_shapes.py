# SPDX-License-Identifier: Apache-2.0
"""The JSON of the main endpoints has the keys and types of dockerd's, in old and new API versions.

Values are not compared here; a null of one side fits a list or an object of the other only where it is listed below.
"""

import json
import re
from typing import Any

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
VERSIONS = ("1.24", "1.30", "1.41", "1.44", "1.47", "1.51")
MAKE = f"""
docker rm -fv shapes >/dev/null 2>&1
docker run -d --name shapes -p 18301:80 -v shapes-v:/v --tmpfs /t -l a=b -e A=1 --ulimit nofile=900:900 {IMAGE} sleep 1000 >/dev/null
docker exec shapes true
curl -s --unix-socket $SOCKET -X POST -H 'Content-Type: application/json' -d '{{"Cmd":["false"],"AttachStdout":true}}' http://d/v1.51/containers/shapes/exec
"""
ENDPOINTS = (
    "version",
    "info",
    "containers/json?all=1",
    "containers/json?size=1",
    "containers/shapes/json",
    "containers/shapes/json?size=1",
    "containers/shapes/top",
    "images/json",
    f"images/{IMAGE}/json",
    f"images/{IMAGE}/history",
    "networks",
    "networks/bridge",
    "networks/none",
    "volumes",
    "volumes/shapes-v",
    "exec/EXEC/json",
    "events?since=1&until=1000000000",
    "plugins",
    "nosuch",
)
# (endpoint, path of keys): why it may differ. A path that begins so is not compared.
ACCEPTED = {
    ("version", ".Components"): "dockerd lists containerd, runc and docker-init; Holdfast is one component",
    ("version", ".BuildTime"): "Holdfast is not compiled",
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


def answers(daemon: Daemon, version: str) -> dict[str, dict[str, set[str]]]:
    made = daemon.sh(MAKE)
    identity = json.loads(made.stdout)["Id"]
    script = "".join(
        f"printf '\\n@@ {endpoint} '; curl -s -w '\\n%{{http_code}}' --unix-socket $SOCKET 'http://d/v{version}/{target}';"
        for endpoint, target in ((each, each.replace("EXEC", identity)) for each in ENDPOINTS)
    )
    found: dict[str, dict[str, set[str]]] = {}
    for part in daemon.sh(script).stdout.split("\n@@ ")[1:]:
        endpoint, _, rest = part.partition(" ")
        text, _, status = rest.rpartition("\n")
        found[endpoint] = {f"status {status}": set(), **shape(documents(text), "", {})}
    daemon.sh("docker rm -fv shapes; docker volume rm shapes-v")
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_have_dockers_keys_and_types(version: str, dockerd: Daemon, holdfastd: Daemon) -> None:
    theirs, ours = answers(dockerd, version), answers(holdfastd, version)

    different: list[str] = []
    for endpoint in ENDPOINTS:
        accepted = tuple(path for place, path in ACCEPTED if place == endpoint)
        for path in sorted(theirs[endpoint].keys() | ours[endpoint].keys()):
            left, right = theirs[endpoint].get(path), ours[endpoint].get(path)
            if left != right and not path.startswith(accepted or ("\0",)):
                different.append(f"{endpoint} {path}: dockerd {left}, holdfast {right}")
    assert not different, "\n".join(different)
