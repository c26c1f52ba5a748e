# SPDX-License-Identifier: Apache-2.0
"""What create makes of unusual wishes, and exec of unusual bodies: the same status and the same inspect as dockerd's.

The container `other` is there to be joined and linked to. Texts of refusals are not compared.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from compat_case import Daemon
from test_bad_input import IMAGE, Client

HOST_WISHES: tuple[dict[str, Any], ...] = (
    {"Memory": 1 << 30},
    {"ConsoleSize": []},
    {"ConsoleSize": [7]},
    {"ConsoleSize": [7, 8, 9]},
    {"ConsoleSize": [-1, 8]},
    {"CapAdd": "net_admin"},
    {"CpusetCpus": "0 "},
    {"CpusetCpus": "0\n"},
    {"CpusetCpus": "1-0"},
    {"CpusetCpus": "0,,1"},
    {"CpusetCpus": "\u0663"},
    {"CpusetMems": "1-0"},
    {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": -1}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Mode": -1}}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Mode": 1 << 33}}]},
    {"Links": []},
    {"Links": ["other"]},
    {"Links": ["/other:alias"]},
    {"Links": ["other:alias"], "NetworkMode": "none"},
    {"Links": ["other:alias"], "NetworkMode": "some-network"},
    {"NetworkMode": "container"},
    {"NetworkMode": "container:"},
)
WISHES: tuple[dict[str, Any], ...] = (
    *({"HostConfig": host} for host in HOST_WISHES),
    {"Cmd": ["echo", None]},
    {"Cmd": "true"},
    {"Shell": "/bin/ash"},
    {"Shell": ["/bin/ash", None]},
    {"Healthcheck": {}},
    {"Healthcheck": {"Test": []}},
    {"NetworkDisabled": True},
    {"NetworkDisabled": True, "HostConfig": {"NetworkMode": "none"}},
    {"Domainname": "example", "HostConfig": {"NetworkMode": "container:other"}},
    {"Hostname": "example", "HostConfig": {"NetworkMode": "container:other"}},
    {"MacAddress": "02:42:ac:11:00:09", "HostConfig": {"NetworkMode": "container:other"}},
)
# (the exec's own tty, the body of its start)
STARTS: tuple[tuple[bool, dict[str, Any]], ...] = (
    *((tty, {"Tty": said}) for tty in (False, True) for said in (False, True)),
    (True, {"Tty": True, "ConsoleSize": [7]}),
    (True, {"Tty": True, "ConsoleSize": [7, 8, 9]}),
    (True, {"Tty": True, "ConsoleSize": [-1, 1]}),
    (True, {"Tty": True, "ConsoleSize": [70, 1 << 20]}),
)
COMMITS = ("repo=sha256&tag=x", "changes=STOPSIGNAL%20nope", "changes=ENV%20A=1%0AENV%20B=2")


@pytest.fixture(scope="module")
def clients(dockerd: Daemon, holdfastd: Daemon) -> Iterator[tuple[Client, Client]]:
    for daemon in (dockerd, holdfastd):
        daemon.sh(f"docker run -d --name other {IMAGE} sleep 1000")
    yield Client(dockerd), Client(holdfastd)
    for daemon in (dockerd, holdfastd):
        daemon.sh("docker rm -fv other")


def shown(client: Client, wish: dict[str, Any]) -> dict[str, Any]:
    """The status, and what inspect says of the container, its own and the other's id and the runtime's name aside."""
    status, _ = client.ask("POST", "containers/create?name=wished", json.dumps({"Image": IMAGE, **wish}).encode())
    if status != 201:
        return {"status": status}
    document = re.sub(rb"[0-9a-f]{64}", b"ID", client.ask("GET", "containers/wished/json")[1])
    client.ask("DELETE", "containers/wished?force=1&v=1")
    found = json.loads(document)
    del found["HostConfig"]["Runtime"], found["Config"]["Hostname"]
    networks = found["NetworkSettings"]["Networks"]
    return {"status": 201, "host": found["HostConfig"], "config": found["Config"], "networks": networks}


@pytest.mark.parametrize("wish", WISHES, ids=json.dumps)
def test_wish_is_shown_as_dockerd_shows_it(clients: tuple[Client, Client], wish: dict[str, Any]) -> None:
    theirs, ours = (shown(client, wish) for client in clients)

    assert ours == theirs


@pytest.mark.parametrize(("tty", "body"), STARTS, ids=str)
def test_exec_speaks_as_its_start_wants_it(clients: tuple[Client, Client], tty: bool, body: dict[str, Any]) -> None:
    answers: list[tuple[int, bytes]] = []
    for client in clients:
        wish = {"Cmd": ["echo", "hi"], "AttachStdout": True, "Tty": tty}
        made = json.loads(client.ask("POST", "containers/other/exec", json.dumps(wish).encode())[1])
        answers.append(client.ask("POST", f"exec/{made['Id']}/start", json.dumps(body).encode()))

    assert answers[1][0] == answers[0][0]
    assert answers[1][0] >= 400 or answers[1][1] == answers[0][1]


def test_console_size_that_is_no_size_never_starts(clients: tuple[Client, Client]) -> None:
    wish = json.dumps({"Cmd": ["true"], "Tty": True, "ConsoleSize": [-1, 2]}).encode()

    assert [client.ask("POST", "containers/other/exec", wish)[0] for client in clients] == [400, 400]


@pytest.mark.parametrize("query", COMMITS)
def test_commit_takes_the_same(clients: tuple[Client, Client], query: str) -> None:
    found: list[Any] = []
    for client in clients:
        status, text = client.ask("POST", f"commit?container=other&{query}")
        image = json.loads(text).get("Id")
        found.append(
            (status, json.loads(client.ask("GET", f"images/{image}/json")[1])["Config"]["Env"] if image else None)
        )
        client.ask("DELETE", f"images/{image}")

    assert found[1] == found[0]
