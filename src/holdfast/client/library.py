# SPDX-License-Identifier: Apache-2.0
"""`import holdfast`: containers and images as typed Python objects.

    with holdfast.connect() as engine:
        print(engine.run("alpine:3.20", ["echo", "hi"]).stdout)

Every method is one or a few Engine API calls; errors are the classes of `holdfast.errors`, with the daemon's words. Sync, not thread-safe.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast import errors
from holdfast.client import address
from holdfast.client.api import Api
from holdfast.client.networks import Network, NetworkOptions
from holdfast.wire import frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command did: its exit code and its output, undecoded."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a container is made; every field's default is Docker's. `ports` maps "80/tcp" to a host port (0: any free one)."""

    name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    volumes: Sequence[str] = ()
    network: str = "default"
    user: str = ""
    working_directory: str = ""
    entrypoint: Sequence[str] | None = None
    memory_bytes: int = 0
    cpus: float = 0.0
    pids_limit: int = 0
    is_privileged: bool = False
    is_read_only: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self, image: str, command: Sequence[str]) -> dict[str, Any]:
        """The body of ContainerCreate."""
        bindings = {port: [{"HostPort": str(host) if host else ""}] for port, host in self.ports.items()}
        host_config: dict[str, Any] = {
            "Binds": list(self.volumes),
            "NetworkMode": self.network,
            "PortBindings": bindings,
            "Memory": self.memory_bytes,
            "NanoCpus": round(self.cpus * 1e9),
            "Privileged": self.is_privileged,
            "ReadonlyRootfs": self.is_read_only,
        }
        if self.pids_limit:
            host_config["PidsLimit"] = self.pids_limit
        body: dict[str, Any] = {
            "Image": image,
            "Cmd": list(command) or None,
            "Env": [f"{key}={value}" for key, value in self.environment.items()],
            "User": self.user,
            "WorkingDir": self.working_directory,
            "Labels": dict(self.labels),
            "ExposedPorts": {port: {} for port in self.ports},
            "HostConfig": host_config,
        }
        if self.entrypoint is not None:
            body["Entrypoint"] = list(self.entrypoint)
        return body


class Container:
    """One container, known by its id; methods ask the daemon each time."""

    def __init__(self, api: Api, identity: str) -> None:
        self._api = api
        self.id = identity

    def __repr__(self) -> str:
        return f"Container({self.id[:12]!r})"

    def inspect(self) -> dict[str, Any]:
        """The whole record, as ContainerInspect gives it."""
        document: dict[str, Any] = self._api.call("GET", f"/containers/{self.id}/json")
        return document

    @property
    def name(self) -> str:
        """The name, without its slash."""
        name: str = self.inspect()["Name"]
        return name.lstrip("/")

    @property
    def is_running(self) -> bool:
        """True while its first process lives."""
        state: dict[str, bool] = self.inspect()["State"]
        return state["Running"]

    def start(self) -> None:
        """Starts it; a running one is left alone."""
        try:
            self._api.call("POST", f"/containers/{self.id}/start")
        except errors.NotModified:
            return

    def stop(self, timeout_seconds: int | None = None) -> None:
        """Sends the stop signal, then SIGKILL after the timeout; a stopped one is left alone."""
        try:
            self._api.call("POST", f"/containers/{self.id}/stop", query={"t": timeout_seconds})
        except errors.NotModified:
            return

    def kill(self, signal: str = "SIGKILL") -> None:
        """Sends one signal to its first process."""
        self._api.call("POST", f"/containers/{self.id}/kill", query={"signal": signal})

    def wait(self) -> int:
        """Blocks until it has ended and returns its exit code."""
        code: int = self._api.call("POST", f"/containers/{self.id}/wait")["StatusCode"]
        return code

    def remove(self, *, force: bool = False, with_volumes: bool = False) -> None:
        """Removes it; `force` kills a running one first."""
        self._api.call("DELETE", f"/containers/{self.id}", query={"force": force, "v": with_volumes})

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields (stream, data): stream 1 is standard output, 2 standard error; with a tty all is 1."""
        query = {"stdout": True, "stderr": True, "follow": follow, "tail": tail}
        pieces = self._api.stream("GET", f"/containers/{self.id}/logs", query=query)
        if self.inspect()["Config"]["Tty"]:
            for piece in pieces:
                yield frames.STDOUT, piece
            return
        demultiplexer = frames.Demultiplexer()
        for piece in pieces:
            yield from demultiplexer.feed(piece)

    def get_archive(self, path: str) -> Iterator[bytes]:
        """Yields the tar of a file or directory of the container; NotFound when there is none."""
        return self._api.download(f"/containers/{self.id}/archive", query={"path": path})[1]

    def put_archive(
        self, directory: str, archive: bytes | Iterable[bytes], *, with_owners_of_user: bool = False
    ) -> None:
        """Unpacks a tar (compressed or not) into a directory of the container.

        `with_owners_of_user`: everything belongs to the container's user then, whatever the archive says.
        """
        query = {"path": directory, "noOverwriteDirNonDir": True, "copyUIDGID": with_owners_of_user}
        pieces = [archive] if isinstance(archive, bytes) else archive
        headers = {"Content-Type": "application/x-tar"}
        self._api.send("PUT", f"/containers/{self.id}/archive", query=query, headers=headers, body=pieces)

    def exec(self, command: Sequence[str], *, user: str = "", environment: Mapping[str, str] | None = None) -> Result:
        """Runs a command inside and returns its output and exit code."""
        body = {
            "Cmd": list(command),
            "AttachStdout": True,
            "AttachStderr": True,
            "User": user,
            "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
        }
        identity: str = self._api.call("POST", f"/containers/{self.id}/exec", body=body)["Id"]
        upgraded = self._api.upgrade(f"/exec/{identity}/start", body={"Detach": False, "Tty": False})
        try:
            output = _collect(_received(upgraded.ahead, upgraded.stream.recv))
        finally:
            upgraded.stream.close()
        code: int = self._api.call("GET", f"/exec/{identity}/json")["ExitCode"]
        return Result(exit_code=code, stdout=output[0], stderr=output[1])


class Engine:
    """One daemon. Close it, or use it in a `with` block."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the idle connection."""
        self._api.close()

    @property
    def api(self) -> Api:
        """The API below, for calls that have no method here."""
        return self._api

    def version(self) -> dict[str, Any]:
        """The daemon's SystemVersion document."""
        document: dict[str, Any] = self._api.call("GET", "/version")
        return document

    def create(self, image: str, command: Sequence[str] = (), options: Options | None = None) -> Container:
        """Makes a container; a missing image is pulled."""
        options = options or Options()
        query = {"name": options.name or None}
        body = options.body(image, command)
        try:
            answer = self._api.call("POST", "/containers/create", query=query, body=body)
        except errors.NotFound as error:
            if "No such image" not in error.message:
                raise
            self.pull(image)
            answer = self._api.call("POST", "/containers/create", query=query, body=body)
        return Container(self._api, answer["Id"])

    def start(self, image: str, command: Sequence[str] = (), options: Options | None = None) -> Container:
        """Makes and starts a container, and leaves it running."""
        container = self.create(image, command, options)
        container.start()
        return container

    def run(self, image: str, command: Sequence[str] = (), options: Options | None = None) -> Result:
        """Makes a container, runs it to its end, removes it, and returns its exit code and output."""
        container = self.create(image, command, options)
        try:
            query = {"stream": True, "stdout": True, "stderr": True}
            upgraded = self._api.upgrade(f"/containers/{container.id}/attach", query=query)
            waiting = self._api.wait_stream(f"/containers/{container.id}/wait", query={"condition": "next-exit"})
            try:
                container.start()
                output = _collect(_received(upgraded.ahead, upgraded.stream.recv))
            finally:
                upgraded.stream.close()
            return Result(exit_code=waiting()["StatusCode"], stdout=output[0], stderr=output[1])
        finally:
            container.remove(force=True, with_volumes=True)

    def container(self, name: str) -> Container:
        """The container of that name or id; NotFound when there is none."""
        return Container(self._api, self._api.call("GET", f"/containers/{name}/json")["Id"])

    def containers(self, *, with_stopped: bool = False) -> list[Container]:
        """The running containers, newest first; all of them when asked."""
        found: list[dict[str, Any]] = self._api.call("GET", "/containers/json", query={"all": with_stopped})
        return [Container(self._api, document["Id"]) for document in found]

    def create_network(self, name: str, options: NetworkOptions | None = None) -> Network:
        """Makes a network; AlreadyExists, InvalidArgument, Forbidden (its subnet overlaps another one's)."""
        body = (options or NetworkOptions()).body(name)
        return Network(self._api, self._api.call("POST", "/networks/create", body=body)["Id"])

    def network(self, name: str) -> Network:
        """A network by name, id or unique prefix; NotFound."""
        return Network(self._api, self._api.call("GET", f"/networks/{name}")["Id"])

    def networks(self) -> list[Network]:
        """Every network."""
        return [Network(self._api, found["Id"]) for found in self._api.call("GET", "/networks")]

    def images(self) -> list[dict[str, Any]]:
        """The ImageList documents."""
        found: list[dict[str, Any]] = self._api.call("GET", "/images/json")
        return found

    def pull(self, name: str) -> None:
        """Downloads an image; a name without a tag means `latest`."""
        repository, mark, digest = name.partition("@")
        head, colon, tag = repository.rpartition(":")
        if not colon or "/" in tag:
            head, tag = repository, "latest"
        query = {"fromImage": head, "tag": digest if mark else tag}
        _finish(self._api.messages("POST", "/images/create", query=query))

    def load(self, archive: Iterable[bytes]) -> list[str]:
        """Loads a tar archive's images and returns the daemon's lines."""
        headers = {"Content-Type": "application/x-tar"}
        return _finish(self._api.messages("POST", "/images/load", headers=headers, body=archive))

    def events(self) -> Iterator[dict[str, Any]]:
        """Yields events as they happen."""
        return self._api.messages("GET", "/events")


def _received(ahead: bytes, receive: Any) -> Iterator[bytes]:
    if ahead:
        yield ahead
    while piece := receive(65536):
        yield piece


def _collect(pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    outputs = (bytearray(), bytearray())
    demultiplexer = frames.Demultiplexer()
    for piece in pieces:
        for stream, data in demultiplexer.feed(piece):
            outputs[stream == frames.STDERR].extend(data)
    return bytes(outputs[0]), bytes(outputs[1])


def _finish(messages: Iterable[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for message in messages:
        if message.get("error"):
            raise errors.Internal(str(message["error"]))
        lines.append(str(message.get("stream") or message.get("status") or "").rstrip())
    return lines


def connect(host: str | None = None) -> Engine:
    """Finds the daemon as the `hold` command does: the argument, the environment, a context, or the embedded one (started if need be)."""
    return Engine(Api(address.resolve(os.environ, host=host)))
