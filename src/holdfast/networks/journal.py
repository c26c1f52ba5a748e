# SPDX-License-Identifier: Apache-2.0
"""What of the host belongs to which container: one small file per container below the exec root.

Written before the host is touched and removed after it is clean again, so that a daemon that was killed at any line
finds what to take down. These facts (namespaces, veths, addresses, ports) end with the boot, and so does the exec root:
hence no fsync, and no place in `metadata`. A damaged file is reported and never hides another.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from holdfast.networks import gateways
from holdfast.networks.gateways import Gateways
from holdfast.networks.values import BoundPort, Endpoint


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """One container's network: its namespace (`netns_path` empty: the host's), endpoints and published ports.

    `nameservers`: what it asks instead of the host's servers. `asks_us`: its resolv.conf names 127.0.0.11, for good.
    `keeps_single_labels`: nobody is asked for a name without a dot. `linked`, `exposed`: see `ConnectRequest`.
    """

    sandbox_id: str
    container_id: str
    name: str
    netns_path: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[BoundPort, ...] = ()
    nameservers: tuple[str, ...] = ()
    asks_us: bool = False
    keeps_single_labels: bool = False
    linked: tuple[str, ...] = ()
    exposed: tuple[tuple[int, str], ...] = ()

    @property
    def gateways(self) -> Gateways:
        """Where the default routes and the published ports lead."""
        return gateways.choose(self.endpoints)

    @property
    def is_public(self) -> bool:
        """Whether somebody may count on its end: it has ports of the host, or others ask for it by name."""
        return bool(self.ports) or self.asks_us

    @property
    def has_names(self) -> bool:
        """Whether it asks and is found by name."""
        return any(endpoint.has_names for endpoint in self.endpoints)

    def endpoint(self, network_id: str) -> Endpoint | None:
        """Its place in a network."""
        return next((endpoint for endpoint in self.endpoints if endpoint.network_id == network_id), None)


_DECODER = msgspec.json.Decoder(Sandbox)
_SUFFIX = ".json"


class Journal:
    """The files of one directory, which is made when it is missing."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    def write(self, sandbox: Sandbox) -> None:
        """Replaces the container's record whole."""
        path = f"{self._directory}/{sandbox.container_id}"
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, msgspec.json.encode(sandbox))
        finally:
            os.close(fd)
        os.rename(path, path + _SUFFIX)

    def remove(self, container_id: str) -> None:
        """Forgets the container; idempotent."""
        try:
            os.unlink(f"{self._directory}/{container_id}{_SUFFIX}")
        except FileNotFoundError:
            return

    def load(self) -> tuple[list[Sandbox], list[str]]:
        """Every readable record, and the container ids whose record is damaged (those are removed)."""
        found: list[Sandbox] = []
        damaged: list[str] = []
        for entry in sorted(self._directory.iterdir()):
            if entry.suffix != _SUFFIX:
                entry.unlink()
                continue
            try:
                found.append(_DECODER.decode(entry.read_bytes()))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                damaged.append(entry.name.removesuffix(_SUFFIX))
                entry.unlink()
        return found, damaged
