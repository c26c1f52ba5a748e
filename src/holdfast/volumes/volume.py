# SPDX-License-Identifier: Apache-2.0
"""The volume as a value, and what it may be called.

Pure. The wording of errors is Docker's. Called by `volumes.store` and the volume jobs of `engine`.
Source: Engine API "Volume"; what dockerd 28.5 accepts and answers.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from holdfast.errors import InvalidArgument

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
LOCAL = "local"
NAME_MAX_LENGTH = 255

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A record: `labels` and `options` are None when none were given; `mountpoint` is its directory on the host.

    A plugin's volume may have none as long as it is not mounted, and 0 for a time that nobody knows. `scope` is `global`
    when other hosts have it, too.
    """

    name: str
    mountpoint: str
    created_nanos: int
    driver: str = LOCAL
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    scope: str = LOCAL

    @property
    def is_ours(self) -> bool:
        """True when no plugin keeps it."""
        return self.driver == LOCAL

    @property
    def is_plain(self) -> bool:
        """True when it is a directory of ours: always there, nothing to mount."""
        return self.driver == LOCAL and not self.options

    @property
    def is_volatile(self) -> bool:
        """True when it is empty whenever its first user comes."""
        return self.driver == LOCAL and (self.options or {}).get("type") == "tmpfs"

    @property
    def is_anonymous(self) -> bool:
        """True when nobody chose the name, so that `prune` may take it without being asked twice."""
        return self.labels is not None and ANONYMOUS_LABEL in self.labels


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin says of a volume; `created_nanos` 0: not told."""

    name: str
    mountpoint: str = ""
    created_nanos: int = 0
    status: dict[str, Any] | None = None


def check_name(name: str) -> None:
    """Raises InvalidArgument unless the name can be a directory's."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if len(name) > NAME_MAX_LENGTH or _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
