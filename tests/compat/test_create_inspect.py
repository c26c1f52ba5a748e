# SPDX-License-Identifier: Apache-2.0
"""What create makes of unusual wishes, and exec of unusual bodies: the same status and the same inspect as dockerd's.

The container `other` is there to be joined and linked to. Texts of refusals are not compared.
"""

import json
import re
import urllib.parse
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
    {"ExtraHosts": ["a:x"]},
    {"ExtraHosts": ["a=1.1.1.1"]},
    {"ExtraHosts": ["a:::1", "b:host-gateway"]},
    {"PortBindings": {"80-81/tcp": [{"HostPort": "8000-8001"}]}},
    {"NetworkMode": "container"},
    {"NetworkMode": "container:"},
)
WISHES: tuple[dict[str, Any], ...] = (
    *({"HostConfig": host} for host in HOST_WISHES),
    {"Cmd": ["echo", None]},
    {"Cmd": "true"},
    {"WorkingDir": "//x//y/../z/"},
    {"StopSignal": "SIGPOLL"},
    {"StopSignal": "IOT"},
    {"Shell": "/bin/ash"},
    {"Shell": ["/bin/ash", None]},
    {"Healthcheck": {}},
    {"Healthcheck": {"Test": []}},
    {"Healthcheck": {"Test": ["true"]}},
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


PLATFORMS = ("amd64", "linux/x86_64", "linux/arm64", "x/y/z/w", "linux/")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platform_is_read_alike(clients: tuple[Client, Client], platform: str) -> None:
    found: list[int] = []
    for client in clients:
        body = json.dumps({"Image": IMAGE}).encode()
        found.append(client.ask("POST", f"containers/create?name=wished&platform={platform}", body)[0])
        client.ask("DELETE", "containers/wished")

    assert found[1] == found[0]


def test_only_exposed_ports_are_published(clients: tuple[Client, Client]) -> None:
    wish = {"Cmd": ["sleep", "100"], "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "18377"}]}}}
    found: list[Any] = []
    for client in clients:
        client.ask("POST", "containers/create?name=unexposed", json.dumps({"Image": IMAGE, **wish}).encode())
        started = client.ask("POST", "containers/unexposed/start")[0]
        shown = json.loads(client.ask("GET", "containers/unexposed/json")[1])["NetworkSettings"]["Ports"]
        found.append((started, shown))
        client.ask("DELETE", "containers/unexposed?force=1")

    assert found[1] == found[0] == (204, {})


@pytest.mark.parametrize("member", ["Binds", "CgroupParent", "Devices", "BlkioDeviceReadBps", "Dns"])
def test_what_the_kernel_or_the_resolver_cannot_take_is_a_bad_request(
    clients: tuple[Client, Client], member: str
) -> None:
    values = {
        "Binds": ["/a\0b:/x"],
        "CgroupParent": "a\0b",
        "Devices": [{"PathOnHost": "/dev/a\0"}],
        "BlkioDeviceReadBps": [{"Path": "a\0"}],
        "Dns": ["one\noptions rotate"],
    }
    ours = clients[1]
    wish = {"Image": IMAGE, "HostConfig": {member: values[member]}}
    made = ours.ask("POST", "containers/create?name=odd", json.dumps(wish).encode())[0]
    started = ours.ask("POST", "containers/odd/start")[0] if made == 201 else made
    ours.ask("DELETE", "containers/odd")

    assert started == 400


@pytest.mark.parametrize("filters", [{"id": [""]}, {"name": ["ot.*r"]}, {"name": ["^oth"]}, {"is-task": ["x"]}])
def test_filters_choose_alike(clients: tuple[Client, Client], filters: dict[str, list[str]]) -> None:
    query = urllib.parse.quote(json.dumps(filters))
    answers = [client.ask("GET", f"containers/json?filters={query}") for client in clients]

    assert answers[1][0] == answers[0][0]
    if answers[0][0] == 200:
        assert [[each["Names"] for each in json.loads(text)] for _, text in answers][1:] == [
            [each["Names"] for each in json.loads(answers[0][1])]
        ]


def test_a_pids_limit_is_older_than_its_update(clients: tuple[Client, Client]) -> None:
    found: list[int | None] = []
    for client in clients:
        wish = json.dumps({"Image": IMAGE, "HostConfig": {"PidsLimit": 7}}).encode()
        client.ask("POST", "containers/create?name=limited", wish, version="1.24")
        found.append(json.loads(client.ask("GET", "containers/limited/json")[1])["HostConfig"]["PidsLimit"])
        client.ask("DELETE", "containers/limited")

    assert found == [7, 7]
