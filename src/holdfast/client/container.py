# SPDX-License-Identifier: Apache-2.0
"""Containers of the library: how one is made, what one can do, what a command did. Part of `client.library`.

Source: Engine API v1.51 Container, Exec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast import errors
from holdfast.client.api import Api
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

    def restart(self, timeout_seconds: int | None = None) -> None:
        """Stops it if it runs, and starts it."""
        self._api.call("POST", f"/containers/{self.id}/restart", query={"t": timeout_seconds})

    def pause(self) -> None:
        """Freezes every process; Conflict unless it runs."""
        self._api.call("POST", f"/containers/{self.id}/pause")

    def unpause(self) -> None:
        """Thaws them; Conflict unless it is paused."""
        self._api.call("POST", f"/containers/{self.id}/unpause")

    def rename(self, name: str) -> None:
        """Gives it another name; AlreadyExists when it is taken."""
        self._api.call("POST", f"/containers/{self.id}/rename", query={"name": name})

    def update(
        self,
        *,
        memory_bytes: int = 0,
        memory_swap_bytes: int = 0,
        cpus: float = 0.0,
        pids_limit: int | None = None,
        restart: str = "",
    ) -> None:
        """Changes limits (0 leaves as it is; -1 is no limit) and the restart policy (`on-failure:3`), running or not."""
        name, _, count = restart.partition(":")
        body: dict[str, Any] = {
            "Memory": memory_bytes,
            "MemorySwap": memory_swap_bytes,
            "NanoCpus": round(cpus * 1e9),
            "RestartPolicy": {"Name": name, "MaximumRetryCount": int(count or 0)},
        }
        if pids_limit is not None:
            body["PidsLimit"] = pids_limit
        self._api.call("POST", f"/containers/{self.id}/update", body=body)

    def kill(self, signal: str = "SIGKILL") -> None:
        """Sends one signal to its first process."""
        self._api.call("POST", f"/containers/{self.id}/kill", query={"signal": signal})

    def wait(self) -> int:
        """Blocks until it has ended and returns its exit code."""
        code: int = self._api.call("POST", f"/containers/{self.id}/wait")["StatusCode"]
        return code

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy; empty when it has no health check."""
        state: dict[str, Any] = self.inspect()["State"]
        return state["Health"]["Status"] if state.get("Health") else ""

    def top(self, arguments: str = "-ef") -> list[dict[str, str]]:
        """Its processes, a dictionary each, by the titles of `ps` with those arguments."""
        table = self._api.call("GET", f"/containers/{self.id}/top", query={"ps_args": arguments})
        return [dict(zip(table["Titles"], row, strict=False)) for row in table["Processes"]]

    def stats(self) -> dict[str, Any]:
        """One ContainerStats document, without waiting for a second one to compare with."""
        query = {"stream": "false", "one-shot": "true"}
        document: dict[str, Any] = self._api.call("GET", f"/containers/{self.id}/stats", query=query)
        return document

    def iter_stats(self) -> Iterator[dict[str, Any]]:
        """Yields a ContainerStats document every second, until it is removed."""
        return self._api.messages("GET", f"/containers/{self.id}/stats", query={"stream": "true"})

    def changes(self) -> dict[str, str]:
        """What differs from the image: path to `added`, `changed` or `deleted`."""
        kinds = ("changed", "added", "deleted")
        found: list[dict[str, Any]] = self._api.call("GET", f"/containers/{self.id}/changes") or []
        return {entry["Path"]: kinds[entry["Kind"]] for entry in found}

    def export(self) -> Iterator[bytes]:
        """Yields the tar of its whole file system."""
        return self._api.download(f"/containers/{self.id}/export", query={})[1]

    def commit(self, name: str = "", *, message: str = "", author: str = "", pauses: bool = True) -> str:
        """Makes an image of it, named when a name is given, and returns the image's id."""
        query = {"container": self.id, "comment": message, "author": author, "pause": "true" if pauses else "false"}
        head, colon, tag = name.rpartition(":")
        if name:
            query |= {"repo": head, "tag": tag} if colon and "/" not in tag else {"repo": name}
        identity: str = self._api.call("POST", "/commit", query=query, body={})["Id"]
        return identity

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
            output = collect(received(upgraded.ahead, upgraded.stream.recv))
        finally:
            upgraded.stream.close()
        code: int = self._api.call("GET", f"/exec/{identity}/json")["ExitCode"]
        return Result(exit_code=code, stdout=output[0], stderr=output[1])


def received(ahead: bytes, receive: Any) -> Iterator[bytes]:
    if ahead:
        yield ahead
    while piece := receive(65536):
        yield piece


def collect(pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    outputs = (bytearray(), bytearray())
    demultiplexer = frames.Demultiplexer()
    for piece in pieces:
        for stream, data in demultiplexer.feed(piece):
            outputs[stream == frames.STDERR].extend(data)
    return bytes(outputs[0]), bytes(outputs[1])
