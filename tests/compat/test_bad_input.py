# SPDX-License-Identifier: Apache-2.0
"""What nobody should send: the same status as dockerd's, or 400; never a 500 that dockerd does not give, never a traceback.

One keep-alive client per daemon; the container `bad` runs on both. A row's status of dockerd is asked for, not written down.
"""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
JSON = "application/json"
# fields of create's body and of HostConfig, each given values of every wrong type
FIELDS = (
    "Hostname", "User", "Tty", "ExposedPorts", "Env", "Cmd", "Entrypoint", "Image", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "StopTimeout", "Healthcheck", "HostConfig", "NetworkingConfig",
)  # fmt: skip
HOST_FIELDS = (
    "Binds", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove", "VolumesFrom", "CapAdd", "Dns",
    "ExtraHosts", "IpcMode", "Links", "OomScoreAdj", "PidMode", "Privileged", "SecurityOpt", "Tmpfs", "ShmSize", "Sysctls",
    "Runtime", "Memory", "NanoCpus", "CpuShares", "CpusetCpus", "Devices", "MemorySwap", "PidsLimit", "Ulimits", "Mounts",
    "MaskedPaths", "CpuQuota", "MemorySwappiness", "CgroupParent", "UsernsMode", "ConsoleSize", "BlkioWeight",
)  # fmt: skip
WRONG: tuple[Any, ...] = ("text", 7, -1, 1.5, True, [1], ["text"], {"a": 1}, {"a": {"b": []}}, [[]], [None], 10**30)
TEXTS = ("a\0b", "../../etc", "\u202e", "%", "x" * 5000, "", " ", "\n", "ü")


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for field in FIELDS:
        for value in WRONG:
            yield f"{field}={json.dumps(value)}", {"Image": IMAGE, field: value}
        for text in TEXTS:
            yield f"{field}={json.dumps(text)[:40]}", {"Image": IMAGE, field: text}
    for field in HOST_FIELDS:
        for value in (*WRONG, *TEXTS[:2]):
            yield f"HostConfig.{field}={json.dumps(value)}", {"Image": IMAGE, "HostConfig": {field: value}}


RAW: tuple[bytes, ...] = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}{}", b'{"Image":"x"} trailing', b"\xff\xfe", b"{\"Image\":\"\xff\"}", b'{"Image":NaN}',
    b"[" * 100_000, b'{"a":' * 20_000, b'{"Image":"' + b"x" * 1_000_000 + b'"}', b'{"Image":1e999}', b"{'Image':'x'}", b'{"Image":"x",}',
)  # fmt: skip
POSTS = (
    "containers/create",
    "containers/bad/exec",
    "containers/bad/update",
    "volumes/create",
    "networks/create",
    "auth",
)
REQUESTS = [
    *[("GET", f"containers/{name}/json") for name in ("%00", "..%2f..", "a%20b", "x" * 3000, "%ff", "ü", "*", "sha256:0")],
    *[("GET", f"images/{name}/json") for name in ("%00", "A:B:C", "sha256:zz", "x" * 3000, "%ff", "a//b", "@", ":", "a@sha256:12")],
    *[("DELETE", f"images/{name}") for name in ("%00", "A", "nosuch", "sha256:" + "0" * 64, "x@y")],
    *[("GET", f"containers/json?{query}") for query in ("limit=x", "limit=-1", "all=x", "filters=x", "filters={", "filters=[]", "filters=1", 'filters={"status":["x"]}', 'filters={"status":"x"}', 'filters={"nope":{"x":true}}', 'filters={"name":["["]}', 'filters={"exited":["x"]}', "size=maybe", "limit=99999999999999999999", 'filters={"before":["nosuch"]}', 'filters={"health":["x"]}', 'filters={"publish":["x"]}')],
    *[("GET", f"images/json?{query}") for query in ("filters=x", 'filters={"dangling":["x"]}', 'filters={"nope":["x"]}', 'filters={"before":["nosuch"]}', 'filters={"until":["x"]}')],
    *[("GET", f"containers/bad/logs?{query}") for query in ("", "stdout=1&tail=x", "stdout=1&tail=-5", "stdout=1&since=x", "stdout=1&until=x", "stdout=1&since=-1", "stdout=x", "stdout=1&since=1.2.3")],
    *[("POST", f"containers/bad/{verb}") for verb in ("kill?signal=NOPE", "kill?signal=-1", "kill?signal=0", "kill?signal=65", "kill?signal=99999999999", "stop?t=x", "restart?t=x", "resize", "resize?h=x&w=1", "resize?h=-1&w=1", "resize?h=70000&w=1", "resize?h=1&w=99999999999", "rename", "rename?name=", "rename?name=a%20b", "rename?name=bad", "wait?condition=x", "attach?stream=1&detachKeys=nope", "start", "unpause", "nosuch", "start?checkpoint=x", "stop?signal=NOPE&t=0")],
    *[("POST", path) for path in ("containers/nosuch/start", "containers/nosuch/kill", "containers/nosuch/rename?name=x", "containers/nosuch/wait", "containers/create?name=a%20b", "containers/create?name=/", "containers/create?platform=x/y/z/w", "exec/nosuch/start", "exec/nosuch/resize?h=1&w=1", "images/create", "images/create?fromImage=A", "images/create?fromImage=a//b&tag=x", "images/create?fromSrc=-", "images/create?fromSrc=http://127.0.0.1:9/x", f"images/{IMAGE}/tag", f"images/{IMAGE}/tag?repo=A", f"images/{IMAGE}/tag?repo=a&tag=%20", "images/nosuch/tag?repo=a", "images/load", "volumes/prune?filters=x", "containers/prune?filters=x", "images/prune?filters=x", "networks/prune?filters=x", "networks/nosuch/connect")],
    *[("GET", path) for path in ("containers/bad/top?ps_args=-o%20nope", "containers/bad/top?ps_args=;id", "events?since=x&until=0", "events?since=1&until=x", "events?until=1&filters=x", "events?until=1&filters={", "volumes?filters=x", 'volumes?filters={"dangling":["x"]}', 'volumes?filters={"nope":["x"]}', "volumes/nosuch", "volumes/%00", "networks/nosuch", "networks/%00", 'networks?filters={"nope":["x"]}', "exec/nosuch/json", "images/get?names=nosuch", "images/nosuch/get", "images/nosuch/history", "nosuch", "containers/bad/nosuch", "_ping/x", "containers/json/x")],
    *[("DELETE", path) for path in ("containers/nosuch", "containers/bad", "containers/bad?link=1", "containers/bad?force=x", "containers/bad?v=x", "volumes/nosuch", "volumes/nosuch?force=1", "volumes/..", "networks/bridge", "networks/nosuch", "exec/nosuch")],
    *[("GET", f"images/json?{query}") for query in ("all=%zz", 'filters={"dangling":[]}', 'filters={"dangling":["True"]}', 'filters={"label!":["x"]}', 'filters={"reference":["\\"]}', 'filters={"dangling":["true","x"]}')],
    *[("GET", f"images/{IMAGE}/json?{query}") for query in ('platform={}', 'platform={"OS":"linux","Architecture":"amd64"}', 'platform=null', 'manifests=1&platform={"os":"linux","architecture":"amd64"}')],
    *[("POST", f"images/{query}") for query in (f"{IMAGE}/tag?repo=sha256&tag=abc", "create?fromImage=scratch", "create?fromImage=127.0.0.1:1/x&platform=nope", "x/push?tag=sha256:" + "0" * 64)],
    *[("GET", path) for path in ("%zz", "%2e%2e/info", "images//json", 'events?since=1&until=2&filters={"nosuch":["x"]}')],
    *[("PUT", path) for path in ("containers/create", "images/json", "info")], ("PATCH", "info"), ("HEAD", "info"), ("OPTIONS", "info"), ("GARBAGE", "info"),
]  # fmt: skip
# where Holdfast refuses what dockerd lets through (a daemon that dies of it, or a container that cannot start)
STRICTER = {
    "resize?h=70000": "no terminal has so many rows; dockerd cuts the number",
    "/tag": "dockerd takes an image's tag without a name for a success",
    "networks/nosuch/connect": "user-defined networks are not built yet",
    "images/create": "an import from nowhere, or from another machine, is not built yet",
    "bad/unpause": "a conflict is a 409, as for every other state",
    "link=1": "a conflict is a 409, as for every other state",
    "Hostname=": "a host name of 5000 letters",
    "ExposedPorts=": "a port named `a`",
    "\\u0000": "a zero byte, which no path and no name can hold",
    "UsernsMode=": "no such mode, which dockerd finds out at start",
    "BlkioWeight=": "dockerd drops the weight where the kernel has none",
    "1e999": "a number of 999 digits, in a field that nobody reads",
}


class Client:
    """Requests on a unix socket; a connection that the daemon closed is opened again."""

    def __init__(self, daemon: Daemon) -> None:
        self.path = str(daemon.socket)
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = JSON, version: str = "1.51"
    ) -> tuple[int, bytes]:
        for _ in range(2):
            connection = self._connection or self._connect()
            headers = {"Content-Type": kind} if kind else {}
            try:
                connection.putrequest(
                    method, f"/v{version}/" + path.replace(" ", "%20").replace("ü", "%c3%bc"), skip_accept_encoding=True
                )
                for key, value in {**headers, "Content-Length": str(len(body or b""))}.items():
                    connection.putheader(key, value)
                connection.endheaders(body or b"")
                answer = connection.getresponse()
                return answer.status, answer.read(20_000) if answer.status != 101 else b""
            except (ConnectionError, http.client.HTTPException):
                self._connection = None
            finally:
                if self._connection is not None and (method == "POST" or method == "HEAD"):
                    self._connection.close()
                    self._connection = None
        return 0, b"connection closed without an answer"

    def _connect(self) -> http.client.HTTPConnection:
        self._connection = http.client.HTTPConnection("d", timeout=20)
        self._connection.auto_open = 0
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.settimeout(20)
        self._connection.sock.connect(self.path)
        return self._connection


@pytest.fixture
def clients(dockerd: Daemon, holdfastd: Daemon) -> Iterator[tuple[Client, Client]]:
    for daemon in (dockerd, holdfastd):
        daemon.sh(f"docker run -d --name bad {IMAGE} sleep 1000")
    yield Client(dockerd), Client(holdfastd)
    for daemon in (dockerd, holdfastd):
        daemon.sh("docker ps -aq | xargs -r docker rm -f; docker volume prune -af")


def _different(what: str, theirs: tuple[int, bytes], ours: tuple[int, bytes]) -> str:
    """An empty text when ours is as good as theirs."""
    wanted, given = theirs[0], ours[0]
    assert b"Traceback" not in ours[1], what
    if given == wanted or (given == 400 and wanted >= 400) or wanted == 0:  # 0: dockerd dropped the connection
        return ""
    if 400 <= given != 500 and any(part in what for part in STRICTER):
        return ""
    return f"{what}: dockerd {wanted} {theirs[1][:150]!r}, holdfast {given} {ours[1][:150]!r}"


def test_queries_and_names(clients: tuple[Client, Client]) -> None:
    their, our = clients
    found = [
        _different(f"{method} {path[:80]}", their.ask(method, path), our.ask(method, path)) for method, path in REQUESTS
    ]

    assert not [line for line in found if line], "\n".join(line for line in found if line)


@pytest.mark.parametrize("path", POSTS)
def test_bodies_that_are_no_document(clients: tuple[Client, Client], path: str) -> None:
    their, our = clients
    found = [
        _different(
            f"{path} {body[:40]!r} {kind}", their.ask("POST", path, body, kind), our.ask("POST", path, body, kind)
        )
        for body in RAW
        for kind in (JSON, "text/plain", "")
    ]

    assert not [line for line in found if line], "\n".join(line for line in found if line)


def test_create_with_values_of_wrong_types(clients: tuple[Client, Client]) -> None:
    their, our = clients
    found: list[str] = []
    for what, document in bodies():
        body = json.dumps(document).encode()
        answers = [each.ask("POST", "containers/create", body) for each in (their, our)]
        found.append(_different(what, *answers))
        for each, (status, text) in zip((their, our), answers, strict=True):
            if status == 201:
                each.ask("DELETE", f"containers/{json.loads(text)['Id']}?force=1&v=1")

    assert not [line for line in found if line], "\n".join(line for line in found if line)


def test_the_daemon_still_answers(clients: tuple[Client, Client]) -> None:
    assert clients[1].ask("GET", "_ping") == (200, b"OK")
