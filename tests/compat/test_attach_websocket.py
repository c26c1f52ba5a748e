# SPDX-License-Identifier: Apache-2.0
"""`attach/ws` with a websocket library: the same bytes from dockerd and from Holdfast, both ways, in every version's framing."""

import http.client
import json
import socket
import sys
from typing import Any

import pytest
import websocket
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
TALK = "echo out; echo err >&2; read line; echo got $line; sleep 0.1; exit 3"
CLOSE = websocket.ABNF.OPCODE_CLOSE


def ask(daemon: Daemon, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("d")
    connection.sock = plain_socket(daemon)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def plain_socket(daemon: Daemon) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(daemon.socket))
    return sock


def received(web: websocket.WebSocket, *, until: bytes | None) -> tuple[bytes, set[int]]:
    """The payload up to some words or to the close, and the kinds of frames that came."""
    data, kinds = b"", set[int]()
    while until is None or until not in data:
        frame = web.recv_frame()
        kinds.add(frame.opcode)
        if frame.opcode == CLOSE:
            break
        if frame.opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            data += frame.data
    return data, kinds


def talk(daemon: Daemon, version: str, tty: bool) -> object:
    """What one conversation over a websocket showed."""
    wish = {"Image": IMAGE, "Cmd": ["sh", "-c", TALK], "OpenStdin": True, "StdinOnce": True, "Tty": tty}
    identity = ask(daemon, "POST", "/containers/create", wish)[1]["Id"]
    attach = f"ws://d/v{version}/containers/{identity}/attach/ws"
    web = websocket.create_connection(
        f"{attach}?stdin=1&stdout=1&stderr=1&stream=1", socket=plain_socket(daemon), timeout=20
    )
    ask(daemon, "POST", f"/containers/{identity}/start")
    before, kinds = received(web, until=b"err")
    web.send("input\n")
    web.ping("are you there")
    after, more_kinds = received(web, until=None)
    code = ask(daemon, "POST", f"/containers/{identity}/wait")[1]["StatusCode"]
    past = websocket.create_connection(f"{attach}?stdout=1&stderr=1&logs=1", socket=plain_socket(daemon), timeout=20)
    logged, _ = received(past, until=None)
    ask(daemon, "DELETE", f"/containers/{identity}?force=1")
    return sorted((before + after).splitlines()), kinds | more_kinds, code, sorted(logged.splitlines())


@pytest.mark.parametrize("version", ["1.27", "1.51"])
@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
def test_a_conversation_is_the_same(version: str, tty: bool, dockerd: Daemon, holdfastd: Daemon) -> None:
    theirs, ours = talk(dockerd, version, tty), talk(holdfastd, version, tty)

    assert ours == theirs


def test_a_client_that_closes_leaves_the_container_alone(holdfastd: Daemon) -> None:
    wish = {"Image": IMAGE, "Cmd": ["sleep", "60"], "OpenStdin": True}
    identity = ask(holdfastd, "POST", "/containers/create", wish)[1]["Id"]
    ask(holdfastd, "POST", f"/containers/{identity}/start")
    web = websocket.create_connection(
        f"ws://d/containers/{identity}/attach/ws?stdin=1&stdout=1&stream=1", socket=plain_socket(holdfastd)
    )
    web.close()

    assert ask(holdfastd, "GET", f"/containers/{identity}/json")[1]["State"]["Running"]
    assert ask(holdfastd, "DELETE", f"/containers/{identity}?force=1")[0] == 204


@pytest.mark.parametrize(
    "target", ["nosuch/attach/ws", "ID/attach/ws?stream=1&detachKeys=nope", "ID/attach/ws?stream=1"]
)
def test_what_is_no_websocket_is_refused(target: str, dockerd: Daemon, holdfastd: Daemon) -> None:
    statuses: list[int] = []
    for daemon in (dockerd, holdfastd):
        identity = ask(daemon, "POST", "/containers/create", {"Image": IMAGE})[1]["Id"]
        connection = plain_socket(daemon)
        connection.sendall(f"GET /containers/{target.replace('ID', identity)} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        statuses.append(int(connection.recv(4096).split()[1]))
        ask(daemon, "DELETE", f"/containers/{identity}")

    assert statuses[1] == statuses[0]


def test_docker_pys_websocket_works_over_tcp(holdfastd: Daemon) -> None:
    script = f"""
import docker
client = docker.DockerClient("tcp://127.0.0.1:2375")
made = client.containers.create("{IMAGE}", ["echo", "through a web socket"])
web = made.attach_socket(params={{"stdout": 1, "stream": 1}}, ws=True)
made.start()
print(web.recv().decode().strip())
made.remove(force=True)
"""
    done = holdfastd.sh(f"{sys.executable} - <<'END'\n{script}END\n")

    assert done.stdout == "through a web socket\n", done.stderr
