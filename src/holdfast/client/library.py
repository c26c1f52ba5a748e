# SPDX-License-Identifier: Apache-2.0
"""`import holdfast`: containers and images as typed Python objects.

    with holdfast.connect() as engine:
        print(engine.run("alpine:3.20", ["echo", "hi"]).stdout)

Every method is one or a few Engine API calls; errors are the classes of `holdfast.errors`, with the daemon's words. Sync, not thread-safe.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from holdfast import errors
from holdfast.client import address
from holdfast.client.api import Api
from holdfast.client.container import Container, Options, Result, collect, received
from holdfast.client.networks import Network, NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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
                output = collect(received(upgraded.ahead, upgraded.stream.recv))
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

    def prune_containers(self) -> list[str]:
        """Removes every container that does not run, and returns their ids."""
        return self._api.call("POST", "/containers/prune")["ContainersDeleted"] or []

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

    def events(
        self, *, since: float | None = None, until: float | None = None, **filters: str
    ) -> Iterator[dict[str, Any]]:
        """Yields events as they happen, from and to moments of time.time(); `container="web", event="die"` choose some."""
        wanted = {name: {value: True} for name, value in filters.items()}
        return self._api.messages("GET", "/events", query={"since": since, "until": until, "filters": wanted or None})


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
