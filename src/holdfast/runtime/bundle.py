# SPDX-License-Identifier: Apache-2.0
"""An OCI bundle on its way to `runtime.create`: read, checked, and completed as runc does.

Used by `hold-runc create` and `run`. Source: OCI runtime-spec v1.2 §bundle; runc's defaults (allowed devices).
"""

from __future__ import annotations

import json
import os

from holdfast.errors import InvalidArgument, NotFound
from holdfast.runtime import defaults, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_BYTES = 8 << 20


def load(bundle: str) -> dict[str, Any]:
    """The bundle's `config.json`; NotFound or InvalidArgument saying what is wrong with it."""
    path = f"{bundle}/config.json"
    try:
        spec = load_json(path)
    except FileNotFoundError:
        raise NotFound("JSON specification file config.json not found") from None
    if spec.get("process") is None:
        raise InvalidArgument("process property must not be empty")
    if spec.get("root") is None:
        raise InvalidArgument("root property must not be empty")
    root: str = spec["root"].get("path") or "rootfs"
    if not os.path.isdir(os.path.join(bundle, root)):
        raise InvalidArgument(f"invalid rootfs: stat {os.path.join(bundle, root)}: no such file or directory")
    return spec


def load_json(path: str) -> dict[str, Any]:
    """A JSON object from a file of bounded size; OSError, or InvalidArgument when it is no object."""
    with open(path, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InvalidArgument(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    return parse_object(content, path)


def parse_object(content: bytes, name: str) -> dict[str, Any]:
    """A JSON object; InvalidArgument says that `name` holds none."""
    try:
        document: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise InvalidArgument(f"{name} is not JSON: {problem}") from problem
    if type(document) is not dict:
        raise InvalidArgument(f"{name} is not a JSON object")
    return document


def section(document: dict[str, Any], name: str) -> dict[str, Any]:
    """An object within the document; empty when it is absent or null."""
    found: dict[str, Any] | None = document.get(name)
    return {} if found is None else found


def resources(spec: dict[str, Any]) -> dict[str, Any]:
    """`linux.resources`, with the devices that every container may use appended to its rules."""
    found: dict[str, Any] = dict(section(spec, "linux").get("resources") or {})
    found["devices"] = [*(found.get("devices") or ()), *_default_rules()]
    return found


def cgroup_path(spec: dict[str, Any], container_id: str, *, is_systemd_form: bool) -> str:
    """Where the container's cgroup goes; `is_systemd_form` reads `slice:prefix:name` as systemd's path for it."""
    asked: str = section(spec, "linux").get("cgroupsPath") or ""
    if is_systemd_form or asked.count(":") == 2:
        slice_, prefix, name = asked.split(":") if asked.count(":") == 2 else ("", "holdfast", container_id)
        unit = name if name.endswith((".slice", ".scope")) else f"{prefix}-{name}.scope"
        return f"{_slice_path(slice_ or 'system.slice')}/{unit}"
    if ".." in asked.split("/"):
        raise InvalidArgument(f"invalid cgroupsPath {asked!r}")
    return "/" + (asked.strip("/") or container_id)


def filter_program(spec: dict[str, Any]) -> bytes | None:
    """The compiled seccomp filter that the spec asks for, if it does."""
    asked: dict[str, Any] | None = section(spec, "linux").get("seccomp")
    if not asked or (not asked.get("defaultAction") and not asked.get("syscalls")):
        return None
    return seccomp.compile(asked)


def _default_rules() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    for allow, kind, major, minor, access in defaults.DEVICE_RULES:
        if allow:
            rules.append({"allow": True, "type": kind, "major": major, "minor": minor, "access": access})
    return rules


def _slice_path(slice_: str) -> str:
    """`a-b.slice` lies below `a.slice` (systemd.slice(5))."""
    words = slice_.removesuffix(".slice").split("-")
    if slice_ == "-.slice":
        return ""
    return "".join(f"/{'-'.join(words[: count + 1])}.slice" for count in range(len(words)))
