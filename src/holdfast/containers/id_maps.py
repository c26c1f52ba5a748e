# SPDX-License-Identifier: Apache-2.0
"""Id maps of single mounts as text: whose files on disk are whose in the container. Pure.

`uids=1000-0-1;gids=1000-0-1` says that files of user and group 1000 on disk are root's in the container, and that what
root writes there is theirs. Each range is FIRST-ON-DISK, FIRST-IN-THE-MOUNT, COUNT; more of them are joined by `#`, and
one list without a name is for both kinds (`1000-0-1`). Podman has the same form. Ids that no range names are nobody's.
Called by `mount_wishes` and `spec`. Source: mount_setattr(2) §ID-mapped mounts, OCI runtime-spec v1.2 §mounts.
"""

from __future__ import annotations

import itertools
import re

from holdfast.errors import InvalidArgument

OWN = "container"
"""In place of a map: that of the container's own user namespace."""

_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,10})", re.ASCII)
_LAST_ID = 0xFFFFFFFE
_RANGES_MAX = 340

Ranges = list[tuple[int, int, int]]


def parse(text: str) -> tuple[Ranges, Ranges]:
    """The ranges of users and of groups; InvalidArgument says what is wrong."""
    found: dict[str, Ranges] = {}
    for part in text.split(";"):
        kind, equals, ranges = part.partition("=")
        if not equals:
            kind, ranges = "both", kind
        if kind not in ("uids", "gids", "both") or kind in found:
            raise _wrong(text, f"{kind!r} is not one of uids and gids, once each")
        found[kind] = [_range(text, each) for each in ranges.split("#")]
        _check_overlaps(text, found[kind])
    if "both" in found and len(found) > 1:
        raise _wrong(text, "a list without a name is for users and groups")
    users = found.get("both") or found.get("uids")
    groups = found.get("both") or found.get("gids")
    if not users or not groups:
        raise _wrong(text, "it needs both, uids and gids")
    return users, groups


def oci(text: str) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """The map as a mount's uidMappings and gidMappings; empty ones for the container's own."""
    if text == OWN:
        return [], []
    users, groups = parse(text)
    return _mappings(users), _mappings(groups)


def _mappings(ranges: Ranges) -> list[dict[str, int]]:
    return [{"containerID": first, "hostID": shown, "size": count} for first, shown, count in ranges]


def _range(text: str, part: str) -> tuple[int, int, int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise _wrong(text, f"{part!r} is not FIRST-ON-DISK, FIRST-IN-THE-MOUNT and COUNT, such as 1000-0-1")
    first, shown, count = (int(group) for group in match.groups())
    if not count or max(first, shown) + count - 1 > _LAST_ID:
        raise _wrong(text, f"{part!r} holds no ids between 0 and {_LAST_ID}")
    return first, shown, count


def _check_overlaps(text: str, ranges: Ranges) -> None:
    if len(ranges) > _RANGES_MAX:
        raise _wrong(text, f"more than {_RANGES_MAX} ranges")
    for side in (0, 1):
        taken = sorted((each[side], each[side] + each[2]) for each in ranges)
        if any(end > start for (_, end), (start, _) in itertools.pairwise(taken)):
            raise _wrong(text, "its ranges overlap")


def _wrong(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"invalid id map {text!r}: {reason}")
