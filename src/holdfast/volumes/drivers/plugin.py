# SPDX-License-Identifier: Apache-2.0
"""A volume driver in a process of somebody else's, which answers at an address (see `volumes.discovery`).

Each call is a POST of JSON on a connection of its own, and an answer with a text in `Err` is a refusal. What the plugin
mounts is in the host's mount namespace and its own affair; it gets one Mount and one Unmount per container and counts
them. It may have volumes that nobody made through us. Blocks until the plugin answers: two minutes at the most where it
works, ten seconds where it is only asked.
Not here: plugins of docker plugin install. Source: docs.docker.com "Volume plugins", protocol 1.2; moby 28
`volume/drivers`; texts of dockerd 28.5.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from holdfast.errors import Conflict, InvalidArgument, NotFound, Unavailable
from holdfast.volumes.discovery import Address
from holdfast.volumes.driver import Absent
from holdfast.volumes.volume import Described, Volume

_TYPE = "application/vnd.docker.plugins.v1.2+json"
_INTERFACE = "VolumeDriver"
_WORK_SECONDS, _QUESTION_SECONDS = 120.0, 10.0
_ANSWER_BYTES = 1 << 24
_WHERE = "http://plugin.moby.localhost"


class Plugin:
    """See the module and `driver.Keeper`."""

    def __init__(self, name: str, address: Address) -> None:
        self.name = name
        self.address = address
        self.scope = "local"

    def activate(self) -> None:
        """Asks whether it is a volume driver; NotFound when it is another kind."""
        answer = self._post("Plugin.Activate", {})
        if _INTERFACE not in (answer.get("Implements") or ()):
            raise NotFound(f'plugin "{self.name}" does not implement "volumedriver"')
        try:
            capabilities: Any = self._post("VolumeDriver.Capabilities", {}).get("Capabilities") or {}
            self.scope = "global" if str(capabilities.get("Scope")).lower() == "global" else "local"
        except (Unavailable, AttributeError):
            return  # the call is newer than some plugins

    def create(self, name: str, options: Mapping[str, str]) -> str:
        known = self.describe(name)
        if known is not None:
            return known.mountpoint
        request = {"Name": name, "Opts": dict(options)}
        self._refuse(f"create {name}", self._post("VolumeDriver.Create", request, _WORK_SECONDS))
        return ""

    def confirm(self, name: str) -> None:
        del name

    def mount(self, volume: Volume, user: str, *, is_first: bool) -> str:
        del is_first
        request = {"Name": volume.name, "ID": user}
        answer = self._post("VolumeDriver.Mount", request, _WORK_SECONDS)
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
        answer = self._post("VolumeDriver.Unmount", {"Name": volume.name, "ID": user}, _WORK_SECONDS)
        self._refuse(f"error while unmounting volume '{volume.name}'", answer)

    def remove(self, volume: Volume) -> None:
        answer = self._post("VolumeDriver.Remove", {"Name": volume.name}, _WORK_SECONDS)
        if answer.get("Err"):
            raise Conflict(f"remove {volume.name}: {answer['Err']}")

    def describe(self, name: str) -> Described | None:
        found: Any = self._post("VolumeDriver.Get", {"Name": name}).get("Volume")
        return _described(cast("dict[str, Any]", found)) if isinstance(found, dict) and found else None

    def list(self) -> list[Described]:
        answer = self._post("VolumeDriver.List", {})
        if answer.get("Err"):
            raise Unavailable(str(answer["Err"]))
        listed: Any = answer.get("Volumes") or ()
        return [
            _described(cast("dict[str, Any]", each)) for each in listed if isinstance(each, dict) and "Name" in each
        ]

    def _refuse(self, what: str, answer: Mapping[str, Any]) -> None:
        if answer.get("Err"):
            raise InvalidArgument(f"{what}: {answer['Err']}")

    def _post(self, call: str, document: Mapping[str, object], seconds: float = _QUESTION_SECONDS) -> dict[str, Any]:
        """One call; Unavailable when nobody answers, or not as the protocol says."""
        try:
            return self._exchange(call, document, seconds)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            reason = (error.strerror or "").lower()
            raise Absent(f'Post "{_WHERE}/{call}": dial {self.address.shown}: connect: {reason}') from None
        except TimeoutError:
            raise Unavailable(f'Post "{_WHERE}/{call}": context deadline exceeded') from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            where = self.address.place
            raise Unavailable(f"plugin {self.name} does not answer {call} at {where}: {error}") from None

    def _exchange(self, call: str, document: Mapping[str, object], seconds: float) -> dict[str, Any]:
        connection = _open(self.address, seconds)
        try:
            connection.request("POST", f"/{call}", json.dumps(document), {"Content-Type": _TYPE, "Accept": _TYPE})
            response = connection.getresponse()
            body = response.read(_ANSWER_BYTES)
        finally:
            connection.close()
        is_refused = response.status >= http.client.BAD_REQUEST
        try:
            text = body.decode().lstrip()
            answer: object = json.JSONDecoder().raw_decode(text)[0] if text else {}  # dockerd reads the first, no more
            answer = {} if answer is None else answer  # `null`, as for dockerd
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except ValueError:
            if not is_refused:
                raise
            answer = {"Err": body.decode(errors="replace").strip()}
        found = cast("dict[str, Any]", answer)
        if is_refused:
            found["Err"] = f"{call}: {found.get('Err') or f'status {response.status}'}"
        return found


def _described(found: Mapping[str, Any]) -> Described:
    status: Any = found.get("Status")
    return Described(
        name=str(found.get("Name") or ""),
        mountpoint=str(found.get("Mountpoint") or ""),
        created_nanos=_nanos(str(found.get("CreatedAt") or "")),
        status=cast("dict[str, Any]", status) if isinstance(status, dict) and status else None,
    )


def _nanos(text: str) -> int:
    """0 for a time that is none."""
    try:
        return max(0, int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000)
    except (ValueError, OverflowError):
        return 0


def _open(address: Address, seconds: float) -> http.client.HTTPConnection:
    if address.scheme == "unix":
        return _Unix(address.place, seconds)
    if address.scheme != "https":
        return http.client.HTTPConnection(address.place, address.port, timeout=seconds)
    context = ssl.create_default_context(cafile=address.tls.ca or None)
    if address.tls.is_blind:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if address.tls.certificate:
        context.load_cert_chain(address.tls.certificate, address.tls.key or None)
    return http.client.HTTPSConnection(address.place, address.port, timeout=seconds, context=context)


class _Unix(http.client.HTTPConnection):
    """HTTP to a socket in the file system."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("plugin", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
