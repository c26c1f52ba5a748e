# SPDX-License-Identifier: Apache-2.0
"""The shapes of what is told about containers' files: the header of `docker cp`, the list of `docker diff`.

Made by `api.routes.container_archives`. Source: Engine API v1.51 ContainerArchiveInfo, ContainerChanges.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from holdfast.containers import timestamps
from holdfast.engine.jobs.archive import PathStat
from holdfast.snapshots.changes import Change

_EPOCH = "1970-01-01T00:00:00Z"


def render_stat(found: PathStat) -> str:
    """The value of `X-Docker-Container-Path-Stat`: JSON in base64."""
    document = {
        "name": found.name,
        "size": found.size,
        "mode": found.mode,
        "mtime": timestamps.rfc3339(found.mtime_nanos) if found.mtime_nanos else _EPOCH,
        "linkTarget": found.link_target,
    }
    return base64.b64encode(msgspec.json.encode(document)).decode()


def render_changes(found: Sequence[Change]) -> list[dict[str, object]] | None:
    """The list of `docker diff`; null when there is none, as dockerd has it."""
    return [{"Path": change.path.decode(errors="replace"), "Kind": change.kind} for change in found] or None
