# SPDX-License-Identifier: Apache-2.0
"""The JSON shapes of images, for every API version that we speak.

Made by `api.routes.images`. Source: Engine API v1.24 to v1.51, compared with the answers of dockerd 28.5:
`VirtualSize` until 1.43, `ContainerConfig` until 1.44, the full `Config` until 1.49, `Containers` counted from 1.51 on,
empty lists of names as null (and as `<none>` for nameless images) until 1.42.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from holdfast.images import HistoryItem, Image, Removed

ZERO_TIME = "0001-01-01T00:00:00Z"
Version = tuple[int, int]

_VIRTUAL_SIZE_UNTIL = (1, 43)
_CONTAINER_CONFIG_UNTIL = (1, 44)
_NULL_NAMES_UNTIL = (1, 42)
_FULL_CONFIG_UNTIL = (1, 49)
_COUNT_SINCE = (1, 51)
_FULL_CONFIG: dict[str, object] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
_ALWAYS = ("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir")
_WHEN_SET = ("ArgsEscaped", "ExposedPorts", "Healthcheck", "Shell", "StopSignal")
_WHEN_SET_ONCE = (*_WHEN_SET, "MacAddress", "NetworkDisabled", "PublishService", "StopTimeout")


class ImageDelete(msgspec.Struct, omit_defaults=True):
    """One line of what a removal did."""

    Untagged: str = ""
    Deleted: str = ""


class HistoryEntry(msgspec.Struct):
    """One step of an image's making; the members in the order of the alphabet, as dockerd writes them."""

    Comment: str
    Created: int
    CreatedBy: str
    Id: str
    Size: int
    Tags: list[str] | None


class AuthRequest(msgspec.Struct):
    """The body of `POST /auth`."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthAnswer(msgspec.Struct):
    """The answer of `POST /auth`."""

    IdentityToken: str
    Status: str


class ImagePrune(msgspec.Struct):
    """The answer of `POST /images/prune`."""

    ImagesDeleted: list[ImageDelete] | None
    SpaceReclaimed: int


def render_summary(image: Image, version: Version, containers: int, shared_size: int) -> dict[str, object]:
    """One element of `GET /images/json`."""
    tags: list[str] | None = list(image.repo_tags)
    pinned: list[str] | None = list(image.repo_digests)
    if version <= _NULL_NAMES_UNTIL:
        if not tags and not pinned:
            tags, pinned = ["<none>:<none>"], ["<none>@<none>"]
        tags, pinned = tags or None, pinned or None
    summary: dict[str, object] = {
        "Containers": containers if version >= _COUNT_SINCE else -1,
        "Created": image.created_seconds,
        "Id": image.id,
        "Labels": _labels(image.raw_config),
        "ParentId": image.parent,
        "RepoDigests": pinned,
        "RepoTags": tags,
        "SharedSize": shared_size,
        "Size": image.size,
    }
    if version <= _VIRTUAL_SIZE_UNTIL:
        summary["VirtualSize"] = image.size
    return summary


def render_image(image: Image, version: Version, driver: str, layers: Sequence[str]) -> dict[str, object]:
    """The answer of `GET /images/{name}/json`; `layers` are the snapshot's directories, the top one first."""
    raw = _raw(image.raw_config)
    details: dict[str, object] = {
        "Id": image.id,
        "RepoTags": list(image.repo_tags),
        "RepoDigests": list(image.repo_digests),
        "Parent": image.parent,
        "Comment": image.config.comment or _last_comment(image),
        "Created": image.created or ZERO_TIME,
    }
    if version <= _CONTAINER_CONFIG_UNTIL:
        details |= {"Container": image.config.container} if image.config.container else {}
        details["ContainerConfig"] = _full_config(cast("dict[str, Any]", raw.get("container_config") or {}))
    details |= {
        "DockerVersion": image.config.docker_version,
        "Author": image.config.author,
        "Architecture": image.config.architecture,
    }
    details |= {"Variant": image.config.variant} if image.config.variant else {}
    details["Os"] = image.config.os or "linux"
    details |= {"OsVersion": image.config.os_version} if image.config.os_version else {}
    details["Size"] = image.size
    details |= {"VirtualSize": image.size} if version <= _VIRTUAL_SIZE_UNTIL else {}
    return details | {
        "GraphDriver": {"Data": _graph(layers) if driver == "overlay2" else None, "Name": driver},
        "RootFS": {"Type": "layers"} | ({"Layers": list(image.layers)} if image.layers else {}),
        "Metadata": {"LastTagTime": render_nanos(image.tagged_nanos)},
        "Config": _render_config(_raw_config(image.raw_config), version),
    }


def render_history(item: HistoryItem) -> HistoryEntry:
    """One element of `GET /images/{name}/history`."""
    return HistoryEntry(
        Comment=item.comment,
        Created=item.created_seconds,
        CreatedBy=item.created_by,
        Id=item.id,
        Size=item.size,
        Tags=list(item.tags) or None,
    )


def render_removed(item: Removed) -> ImageDelete:
    """One element of the answer of `DELETE /images/{name}`."""
    return ImageDelete(Untagged=item.untagged, Deleted=item.deleted)


def render_nanos(nanos: int) -> str:
    """RFC 3339 with as many digits as are needed, as Go writes it; year 1 for never."""
    if not nanos:
        return ZERO_TIME
    seconds, rest = divmod(nanos, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def _raw(raw_config: bytes) -> dict[str, Any]:
    """The config document as it is, nulls and all; an image whose config is damaged has none."""
    try:
        return msgspec.json.decode(raw_config, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _raw_config(raw_config: bytes) -> dict[str, Any]:
    return cast("dict[str, Any]", _raw(raw_config).get("config") or {})


@functools.lru_cache(4096)
def _labels(raw_config: bytes) -> object:
    """The labels as the config has them: none at all, null or some. Kept, for lists are asked for again and again."""
    return _raw_config(raw_config).get("Labels")


def _last_comment(image: Image) -> str:
    history = image.config.history
    return history[-1].comment if history else ""


def _full_config(raw: dict[str, Any]) -> dict[str, object]:
    return {**_FULL_CONFIG, **{k: v for k, v in raw.items() if k in _FULL_CONFIG or (k in _WHEN_SET_ONCE and v)}}


def _render_config(raw: dict[str, Any], version: Version) -> dict[str, object]:
    """The keys in the order of the alphabet, as dockerd merges them."""
    if version <= _FULL_CONFIG_UNTIL:
        config = _full_config(raw)
    else:
        config = {key: raw.get(key, _FULL_CONFIG[key]) for key in _ALWAYS}
        config |= {key: raw[key] for key in _WHEN_SET if raw.get(key)}
    return dict(sorted(config.items()))


def _graph(layers: Sequence[str]) -> dict[str, str]:
    """Where the top layer would be mounted; empty for an image without layers."""
    if not layers:
        return {}
    top = os.path.dirname(layers[0])
    lower = {"LowerDir": ":".join(layers[1:])} if len(layers) > 1 else {}
    return lower | {"MergedDir": f"{top}/merged", "UpperDir": layers[0], "WorkDir": f"{top}/work"}
