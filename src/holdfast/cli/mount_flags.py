# SPDX-License-Identifier: Apache-2.0
"""`--mount type=…,src=…,dst=…` as the API's Mount object. Pure. Source: the docker CLI's mount grammar (28.2).

One row of CSV, so a field with a comma stands in quotes. Beyond Docker: `idmap`, `idmap=uids=1000-0-1;gids=1000-0-1`.
"""

from __future__ import annotations

import posixpath

from holdfast import errors
from holdfast.cli import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BARE = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src", "idmap")
_RECURSIVE = ("enabled", "disabled", "writable", "readonly")
_KINDS = ("bind", "volume", "image", "tmpfs")


def parse(text: str, working_directory: str = "") -> dict[str, Any]:
    """One mount; InvalidArgument names the field. A relative source of a bind counts from `working_directory`."""
    try:
        fields = split(text)
        mount: dict[str, Any] = {"Type": "volume"}
        for field in fields:
            key, mark, value = field.partition("=")
            key = key.lower()
            if not mark and key not in _BARE:
                raise errors.InvalidArgument(f"invalid field '{field}' must be a key=value pair")
            _put(mount, key, value if mark else "true", field)
        _check(mount, [field.partition("=")[0].lower() for field in fields])
    except errors.InvalidArgument as error:
        shown = text.replace('"', '\\"')
        raise errors.InvalidArgument(f'invalid argument "{shown}" for "--mount" flag: {error.message}') from None
    if mount["Type"] == "bind":
        mount["Source"] = _absolute(mount.get("Source", ""), working_directory)
    return mount


def bind(text: str, working_directory: str) -> str:
    """One `-v SOURCE:DEST[:MODE]`; a source that begins with a dot counts from `working_directory`."""
    source, colon, rest = text.partition(":")
    return f"{_absolute(source, working_directory)}{colon}{rest}"


def _absolute(source: str, working_directory: str) -> str:
    if source in (".", "..") or source.startswith(("./", "../")):
        return posixpath.normpath(posixpath.join(working_directory, source))
    return source


def split(text: str) -> list[str]:
    """The fields of one row; a field in quotes may hold commas, and doubled quotes for one."""
    if not text:
        raise errors.InvalidArgument("EOF")
    fields: list[str] = []
    rest = text
    while True:
        if rest.startswith('"'):
            field, rest = _quoted(rest[1:], text)
        else:
            field, comma, after = rest.partition(",")
            if '"' in field:
                column = len(text) - len(rest) + field.index('"') + 1
                raise errors.InvalidArgument(f'parse error on line 1, column {column}: bare " in non-quoted-field')
            rest = f",{after}" if comma else ""
        fields.append(field)
        if not rest:
            return fields
        rest = rest[1:]


def _quoted(rest: str, text: str) -> tuple[str, str]:
    """What stands up to the closing quote, and what follows it."""
    field = ""
    while True:
        part, quote, rest = rest.partition('"')
        field += part
        if not quote:
            raise errors.InvalidArgument(
                f'parse error on line 1, column {len(text) + 1}: extraneous or missing " in field'
            )
        if not rest.startswith('"'):
            break
        field, rest = f'{field}"', rest[1:]
    if rest and not rest.startswith(","):
        column = len(text) - len(rest)
        raise errors.InvalidArgument(f'parse error on line 1, column {column}: extraneous or missing " in field')
    return field, rest


def _boolean(key: str, value: str) -> bool:
    if value in ("1", "true"):
        return True
    if value in ("0", "false"):
        return False
    raise errors.InvalidArgument(f"invalid value for {key}: {value}")


def _put(mount: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "bind-recursive":
        _put_recursive(mount.setdefault("BindOptions", {}), value)
        return
    place = _PLACES.get(key)
    if place is None:
        raise errors.InvalidArgument(f"unexpected key '{key}' in '{field}'")
    *groups, name, kind = place
    target = mount
    for group in groups:
        target = target.setdefault(group, {})
    if kind == "map":
        label, _, setting = value.partition("=")
        target.setdefault(name, {})[label] = setting
    elif kind == "bool":
        target[name] = _boolean(key, value)
    elif kind in ("bytes", "octal"):
        try:
            target[name] = units.parse_bytes(value) if kind == "bytes" else int(value, 8) if value.isdigit() else -1
        except (errors.InvalidArgument, ValueError):
            target[name] = -1
        if target[name] < 0:
            raise errors.InvalidArgument(f"invalid value for {key}: {value}")
    elif kind == "map of ids":
        target[name] = "container" if value == "true" else value
    else:
        target[name] = value.lower() if key == "type" else value


def _put_recursive(options: dict[str, Any], value: str) -> None:
    if value not in _RECURSIVE:
        raise errors.InvalidArgument(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    member = {"disabled": "NonRecursive", "writable": "ReadOnlyNonRecursive", "readonly": "ReadOnlyForceRecursive"}
    if value in member:
        options[member[value]] = True


def _check(mount: dict[str, Any], keys: list[str]) -> None:
    """What the daemon could not tell as well, because only we see how it was written."""
    for kind in _KINDS:
        if kind != mount["Type"] and any(key.startswith(f"{kind}-") for key in keys):
            raise errors.InvalidArgument(f"cannot mix '{kind}-*' options with mount type '{mount['Type']}'")
    options: dict[str, Any] = mount.get("BindOptions", {})
    for member, value in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if options.get(member) and not mount.get("ReadOnly"):
            raise errors.InvalidArgument(
                f"option 'bind-recursive={value}' requires 'readonly' to be specified in conjunction"
            )
    if options.get("ReadOnlyForceRecursive") and options.get("Propagation") != "rprivate":
        raise errors.InvalidArgument(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


# flag key -> path of groups in the Mount object, its member, and how the value is read
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
    "idmap": ("IDMap", "map of ids"),
    "bind-propagation": ("BindOptions", "Propagation", "text"),
    "bind-nonrecursive": ("BindOptions", "NonRecursive", "bool"),
    "bind-create-src": ("BindOptions", "CreateMountpoint", "bool"),
    "volume-nocopy": ("VolumeOptions", "NoCopy", "bool"),
    "volume-subpath": ("VolumeOptions", "Subpath", "text"),
    "volume-label": ("VolumeOptions", "Labels", "map"),
    "volume-opt": ("VolumeOptions", "DriverConfig", "Options", "map"),
    "volume-driver": ("VolumeOptions", "DriverConfig", "Name", "text"),
    "image-subpath": ("ImageOptions", "Subpath", "text"),
    "tmpfs-size": ("TmpfsOptions", "SizeBytes", "bytes"),
    "tmpfs-mode": ("TmpfsOptions", "Mode", "octal"),
}
