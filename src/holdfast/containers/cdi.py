# SPDX-License-Identifier: Apache-2.0
"""CDI: devices that vendors describe in files, `--device vendor.com/class=name`, as edits of a container's spec.

`resolve` reads the spec directories anew (an administrator may have changed them); a later directory goes before an
earlier one, and a device that one directory describes twice is nobody's. The files are the administrator's, so their
hooks and mounts are trusted. Called by the job start, only for containers that ask for such devices.
Source: Container Device Interface specification v0.8.0; moby 28 `daemon/cdi.go`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from holdfast.errors import InvalidArgument

_FAILED = "CDI device injection failed: "
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?", re.ASCII)
_KIND = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"0\.[3-9]\.\d+|1\.\d+\.\d+", re.ASCII)
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer")
_MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNode:
    """A node for the container; what is None is as the node at `host_path` has it."""

    path: str
    host_path: str
    kind: str | None = None
    major: int | None = None
    minor: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class Edits:
    """What devices change in a container's spec; mounts and hooks are OCI documents."""

    environment: list[str] = field(default_factory=list[str])
    nodes: list[DeviceNode] = field(default_factory=list[DeviceNode])
    mounts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    hooks: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    groups: list[int] = field(default_factory=list[int])


def apply(edits: Edits, document: dict[str, Any]) -> None:
    """Carries the edits out on a compiled spec, all but the nodes, which are devices like others."""
    process = document["process"]
    given = {entry.partition("=")[0] for entry in edits.environment}
    kept = [entry for entry in process["env"] if entry.partition("=")[0] not in given]
    process["env"] = [*kept, *edits.environment]
    groups = process["user"]["additionalGids"]
    process["user"]["additionalGids"] = list(dict.fromkeys([*groups, *edits.groups]))
    document["mounts"] = [*document["mounts"], *edits.mounts]
    if edits.hooks:
        document["hooks"] = dict(edits.hooks)


class _Damaged(Exception):
    """A file says nothing that could be used; the text says why."""


@dataclass(frozen=True, slots=True)
class _Device:
    """One device of a file, with the edits of the whole file."""

    file: str
    common: Mapping[str, Any]
    own: Mapping[str, Any]


def is_qualified(text: str) -> bool:
    """Whether it has the form vendor/class=name."""
    kind, equals, name = text.partition("=")
    return bool(equals) and _KIND.fullmatch(kind) is not None and _NAME.fullmatch(name) is not None


def names(directories: Sequence[str]) -> list[str]:
    """All devices that can be had, sorted."""
    return sorted(_inventory(directories)[0])


def discover(directories: Sequence[str]) -> tuple[list[str], list[str]]:
    """The same, and what is wrong with the files."""
    known, troubles = _inventory(directories)
    return sorted(known), troubles


def resolve(wanted: Sequence[str], directories: Sequence[str]) -> Edits:
    """The edits of the wanted devices in their order; InvalidArgument names those that nobody describes."""
    if not directories:
        raise InvalidArgument(f"{_FAILED}no CDI specification directories specified")
    known, troubles = _inventory(directories)
    missing = [name for name in wanted if name not in known]
    if missing:
        hint = f" ({'; '.join(troubles)})" if troubles else ""
        raise InvalidArgument(f"{_FAILED}unresolvable CDI devices {', '.join(missing)}{hint}")
    edits = Edits()
    seen: set[str] = set()
    for name in wanted:
        device = known[name]
        try:
            if device.file not in seen:
                seen.add(device.file)
                _add(edits, device.common)
            _add(edits, device.own)
        except _Damaged as damage:
            raise InvalidArgument(f"{_FAILED}{device.file}: {damage}") from None
    return edits


def _inventory(directories: Sequence[str]) -> tuple[dict[str, _Device], list[str]]:
    """Devices by qualified name, and what is wrong with files."""
    known: dict[str, _Device] = {}
    troubles: list[str] = []
    for directory in directories:
        here: dict[str, _Device] = {}
        doubtful: set[str] = set()
        for path in _files(directory):
            try:
                for name, device in _read(path):
                    doubtful |= {name} & here.keys()
                    here[name] = device
            except (_Damaged, OSError) as damage:
                troubles.append(f"{path}: {damage.strerror if isinstance(damage, OSError) else damage}")
        for name in doubtful:
            del here[name]
            known.pop(name, None)
            troubles.append(f"{directory}: {name} is described twice")
        known.update(here)
    return known, troubles


def _files(directory: str) -> list[str]:
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    return [f"{directory}/{name}" for name in sorted(entries) if name.endswith((".json", ".yaml", ".yml"))]


def _read(path: str) -> Iterator[tuple[str, _Device]]:
    with open(path, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise _Damaged("the file is too large")
    document = _object(_parse(path, content), "the file")
    if not _VERSION.fullmatch(str(document.get("cdiVersion", ""))):
        raise _Damaged(f"cdiVersion {document.get('cdiVersion')!r} is not known")
    kind = str(document.get("kind", ""))
    if not _KIND.fullmatch(kind):
        raise _Damaged(f"kind {kind!r} is not of the form vendor/class")
    common = _object(document.get("containerEdits") or {}, "containerEdits")
    for entry in _objects(document, "devices"):
        name = str(entry.get("name", ""))
        if not _NAME.fullmatch(name):
            raise _Damaged(f"{name!r} is no name of a device")
        yield f"{kind}={name}", _Device(path, common, _object(entry.get("containerEdits") or {}, "containerEdits"))


def _parse(path: str, content: bytes) -> object:
    if path.endswith(".json"):
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _Damaged(f"it is not JSON: {error}") from None
    import yaml  # 15 ms that only a daemon with such files pays

    try:
        return yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _Damaged(f"it is not YAML: {' '.join(str(error).split())}") from None


def _add(edits: Edits, document: Mapping[str, Any]) -> None:
    edits.environment.extend(_texts(document, "env"))
    edits.groups.extend(group for group in _list(document, "additionalGids") if isinstance(group, int) and group > 0)
    edits.nodes.extend(_node(entry) for entry in _objects(document, "deviceNodes"))
    for entry in _objects(document, "mounts"):
        source, target = _path(entry, "hostPath"), _path(entry, "containerPath")
        options = _texts(entry, "options") or ["ro", "nosuid", "nodev", "rbind", "rprivate"]
        if not {"bind", "rbind"} & set(options):
            options.append("rbind")
        edits.mounts.append({"destination": target, "type": "bind", "source": source, "options": options})
    for entry in _objects(document, "hooks"):
        name = entry.get("hookName")
        if name not in _HOOKS:
            raise _Damaged(f"{name!r} hooks are not supported: only {', '.join(_HOOKS)} are")
        hook = {"path": _path(entry, "path")}
        hook.update({key: entry[key] for key in ("args", "env", "timeout") if entry.get(key) is not None})
        edits.hooks.setdefault(str(name), []).append(hook)
    for name in ("intelRdt", "netDevices"):
        if document.get(name):
            raise _Damaged(f"{name} is not supported")


def _node(entry: Mapping[str, Any]) -> DeviceNode:
    path = _path(entry, "path")
    kind = entry.get("type") or None
    if kind not in (None, "b", "c", "u", "p"):
        raise _Damaged(f"{kind!r} is no type of a device")
    access = entry.get("permissions") or "rwm"
    if not isinstance(access, str) or not set(access) <= set("rwm"):
        raise _Damaged(f"{access!r} are no permissions of a device")
    numbers: dict[str, int | None] = {}
    for member in ("major", "minor", "fileMode", "uid", "gid"):
        number = entry.get(member)
        if number is not None and (not isinstance(number, int) or number < 0):
            raise _Damaged(f"{member} {number!r} is no number")
        numbers[member] = number
    return DeviceNode(
        path=path,
        host_path=str(entry.get("hostPath") or path),
        kind=str(kind) if kind else None,
        major=numbers["major"],
        minor=numbers["minor"],
        mode=numbers["fileMode"],
        uid=numbers["uid"],
        gid=numbers["gid"],
        access=access,
    )


def _path(entry: Mapping[str, Any], member: str) -> str:
    path = entry.get(member)
    if not isinstance(path, str) or not path.startswith("/"):
        raise _Damaged(f"{member} {path!r} is not an absolute path")
    return path


def _texts(document: Mapping[str, Any], member: str) -> list[str]:
    found = _list(document, member)
    if not all(isinstance(each, str) for each in found):
        raise _Damaged(f"{member} is not a list of texts")
    return cast("list[str]", found)


def _objects(document: Mapping[str, Any], member: str) -> list[dict[str, Any]]:
    return [_object(each, member) for each in _list(document, member)]


def _list(document: Mapping[str, Any], member: str) -> list[Any]:
    found = document.get(member)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _Damaged(f"{member} is not a list")
    return list(cast("list[Any]", found))


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Damaged(f"{what} is not an object")
    return cast("dict[str, Any]", value)
