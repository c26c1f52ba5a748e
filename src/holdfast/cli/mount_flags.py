# SPDX-License-Identifier: Apache-2.0
"""`--mount type=…,src=…,dst=…` as the API's Mount object. Pure. Source: the docker CLI's mount grammar."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TYPES = ("bind", "volume", "tmpfs", "image")


def _boolean(key: str, value: str) -> bool:
    if value.lower() in ("", "1", "true", "t"):
        return True
    if value.lower() in ("0", "false", "f"):
        return False
    raise errors.InvalidArgument(f"invalid value for {key}: {value}")


def parse(text: str) -> dict[str, Any]:
    """One mount; InvalidArgument names the field."""
    mount: dict[str, Any] = {"Type": "volume"}
    for part in text.split(","):
        key, mark, value = part.partition("=")
        key = key.strip().lower()
        if not mark and key not in ("readonly", "ro", "volume-nocopy", "bind-nonrecursive"):
            raise errors.InvalidArgument(
                f'invalid argument "{text}" for "--mount" flag: invalid field \'{part}\' must be a key=value pair'
            )
        _put(mount, key, value, text)
    if mount["Type"] not in _TYPES:
        raise errors.InvalidArgument(
            f'invalid argument "{text}" for "--mount" flag: mount type unknown: "{mount["Type"]}"'
        )
    if not mount.get("Target"):
        raise errors.InvalidArgument(f'invalid argument "{text}" for "--mount" flag: target is required')
    if mount["Type"] == "bind" and not mount.get("Source"):
        raise errors.InvalidArgument(
            f'invalid argument "{text}" for "--mount" flag: source is required when using a bind mount'
        )
    return mount


def _put(mount: dict[str, Any], key: str, value: str, text: str) -> None:
    place = _PLACES.get(key)
    if place is None:
        raise errors.InvalidArgument(f'invalid argument "{text}" for "--mount" flag: unexpected key \'{key}\'')
    *groups, field, kind = place
    target = mount
    for group in groups:
        target = target.setdefault(group, {})
    if kind == "map":
        name, _, setting = value.partition("=")
        target.setdefault(field, {})[name] = setting
    elif kind == "bool":
        target[field] = _boolean(key, value)
    elif kind == "bytes":
        target[field] = units.parse_bytes(value)
    elif kind == "octal":
        target[field] = int(value, 8)
    else:
        target[field] = value.lower() if key == "type" else value


# flag key -> path of groups in the Mount object, its field, and how the value is read
_PLACES: dict[str, tuple[str, ...]] = {
    "type": ("Type", "text"),
    "source": ("Source", "text"),
    "src": ("Source", "text"),
    "target": ("Target", "text"),
    "dst": ("Target", "text"),
    "destination": ("Target", "text"),
    "readonly": ("ReadOnly", "bool"),
    "ro": ("ReadOnly", "bool"),
    "consistency": ("Consistency", "text"),
    "bind-propagation": ("BindOptions", "Propagation", "text"),
    "bind-nonrecursive": ("BindOptions", "NonRecursive", "bool"),
    "volume-nocopy": ("VolumeOptions", "NoCopy", "bool"),
    "volume-subpath": ("VolumeOptions", "Subpath", "text"),
    "volume-label": ("VolumeOptions", "Labels", "map"),
    "volume-opt": ("VolumeOptions", "DriverConfig", "Options", "map"),
    "volume-driver": ("VolumeOptions", "DriverConfig", "Name", "text"),
    "image-subpath": ("ImageOptions", "Subpath", "text"),
    "tmpfs-size": ("TmpfsOptions", "SizeBytes", "bytes"),
    "tmpfs-mode": ("TmpfsOptions", "Mode", "octal"),
}
