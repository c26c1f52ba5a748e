# SPDX-License-Identifier: Apache-2.0
"""A volume driver in a process of somebody else's, which listens at a socket in a plugin directory.

`NAME.sock` in /run/docker/plugins is the plugin NAME. Each call is a POST of JSON on a connection of its own, and an
answer with a text in `Err` is a refusal. What the plugin mounts is in the host's mount namespace and its own affair; it
gets one Mount and one Unmount per container and counts them. Blocks until the plugin answers, two minutes at the most.
Not here: plugins of docker plugin install, and .spec and .json files. Source: docs.docker.com "Volume plugins", protocol 1.2.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from holdfast.errors import Conflict, InvalidArgument, NotFound, Unavailable
from holdfast.volumes.volume import Volume

_TYPE = "application/vnd.docker.plugins.v1.2+json"
_INTERFACE = "VolumeDriver"
_SECONDS = 120.0
_ANSWER_BYTES = 1 << 20


class Plugin:
    """See the module and `driver.Driver`."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path

    def activate(self) -> None:
        """Asks whether it is a volume driver; NotFound when it is another kind."""
        answer = self._post("Plugin.Activate", {})
        if _INTERFACE not in (answer.get("Implements") or ()):
            raise NotFound(
                f'error looking up volume plugin {self.name}: plugin "{self.name}" does not implement "volumedriver"'
            )

    def create(self, name: str, options: Mapping[str, str]) -> str:
        self._refuse(f"create {name}", self._post("VolumeDriver.Create", {"Name": name, "Opts": dict(options)}))
        found = self._post("VolumeDriver.Get", {"Name": name})
        self._refuse(f"create {name}", found)
        described: dict[str, Any] = found.get("Volume") or {}
        return str(described.get("Mountpoint") or "")

    def confirm(self, name: str) -> None:
        del name

    def mount(self, volume: Volume, user: str, *, is_first: bool) -> str:
        del is_first
        answer = self._post("VolumeDriver.Mount", {"Name": volume.name, "ID": user})
        self._refuse(f"error while mounting volume '{volume.mountpoint}'", answer)
        path = str(answer.get("Mountpoint") or "")
        if not os.path.isabs(path) or not os.path.isdir(path):
            self.unmount(volume, user, is_last=True)
            raise InvalidArgument(
                f"error while mounting volume '{volume.mountpoint}': plugin {self.name} has mounted {volume.name} at "
                f"{path!r}, which is no directory of this host"
            )
        return path

    def unmount(self, volume: Volume, user: str, *, is_last: bool) -> None:
        del is_last
        answer = self._post("VolumeDriver.Unmount", {"Name": volume.name, "ID": user})
        self._refuse(f"error while unmounting volume '{volume.name}'", answer)

    def remove(self, volume: Volume) -> None:
        answer = self._post("VolumeDriver.Remove", {"Name": volume.name})
        if answer.get("Err"):
            raise Conflict(f"remove {volume.name}: VolumeDriver.Remove: {answer['Err']}")

    def _refuse(self, what: str, answer: Mapping[str, Any]) -> None:
        if answer.get("Err"):
            raise InvalidArgument(f"{what}: {answer['_call']}: {answer['Err']}")

    def _post(self, call: str, document: Mapping[str, object]) -> dict[str, Any]:
        """One call; Unavailable when nobody answers, or not as the protocol says."""
        connection = _Connection(self._path)
        try:
            connection.request("POST", f"/{call}", json.dumps(document), {"Content-Type": _TYPE, "Accept": _TYPE})
            response = connection.getresponse()
            body = response.read(_ANSWER_BYTES)
            answer: object = json.loads(body) if body.strip() else {}
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unavailable(f"plugin {self.name} does not answer {call} at {self._path}: {error}") from None
        finally:
            connection.close()
        found: dict[str, Any] = {**answer, "_call": call}  # pyright: ignore[reportUnknownVariableType]
        if response.status >= http.client.BAD_REQUEST and not found.get("Err"):
            found["Err"] = f"status {response.status}"
        return found


class _Connection(http.client.HTTPConnection):
    """HTTP to a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("plugin", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
