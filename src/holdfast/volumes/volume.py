# SPDX-License-Identifier: Apache-2.0
"""The volume as a value, and what may be asked of the local driver.

Pure. The wording of errors is Docker's. Called by `volumes.store` and the volume jobs of `engine`.
Source: Engine API "Volume"; what dockerd 28.5 accepts and answers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

import msgspec

from holdfast.errors import InvalidArgument, NotFound, Unsupported

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
LOCAL = "local"
NAME_MAX_LENGTH = 255

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_OPTIONS = ("type", "o", "device")


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A record: `labels` and `options` are None when none were given; `mountpoint` is its directory on the host."""

    name: str
    mountpoint: str
    created_nanos: int
    driver: str = LOCAL
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None

    @property
    def is_anonymous(self) -> bool:
        """True when nobody chose the name, so that `prune` may take it without being asked twice."""
        return self.labels is not None and ANONYMOUS_LABEL in self.labels


def check_name(name: str) -> None:
    """Raises InvalidArgument unless the name can be a directory's."""
    if len(name) == 1 and name.isascii() and name.isalnum():
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if len(name) > NAME_MAX_LENGTH or _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def check_driver(name: str, driver: str) -> None:
    """Raises NotFound for drivers other than our own."""
    if driver not in ("", LOCAL):
        raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Raises for options of no meaning, and Unsupported for mounts other than binds of a host directory."""
    for option in options:
        if option not in _OPTIONS:
            raise InvalidArgument(f'create {name}: invalid option: "{option}"')
    if not options:
        return
    device = options.get("device", "")
    if not device:
        raise InvalidArgument(f'create {name}: missing required option: "device"')
    flags = options.get("o", "").split(",")
    if options.get("type", "none") not in ("none", "bind", "") or not {"bind", "rbind"} & set(flags):
        kind = options.get("type", "none")
        raise Unsupported(f"create {name}: volumes of type {kind} are not supported yet: use type=none with o=bind")
    if not posixpath.isabs(device):
        raise InvalidArgument(f'create {name}: invalid mount config: "{device}" is not an absolute path')
