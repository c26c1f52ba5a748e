# SPDX-License-Identifier: Apache-2.0
"""`--device`, `--gpus` and `--security-opt`: words to members of HostConfig, in docker's grammar. Pure but for one file.

Called by `container_body`. Source: docker CLI 28's own requests, docs.docker.com "docker run --gpus".
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_NAME_MARKS = frozenset("_-.:")
_ALL = -1


def devices(texts: Sequence[str]) -> list[dict[str, str]]:
    """`HOST[:CONTAINER[:rwm]]` of those that are paths."""
    return [_device(text) for text in texts if not _is_cdi_name(text)]


def device_requests(texts: Sequence[str], gpus: str) -> list[dict[str, Any]] | None:
    """The wish for GPUs, and for those devices that are CDI names."""
    found = [_gpu_request(gpus)] if gpus else []
    names = [text for text in texts if _is_cdi_name(text)]
    if names:
        found.append({"Driver": "cdi", "Count": 0, "DeviceIDs": names, "Capabilities": None, "Options": None})
    return found or None


def security_options(texts: Sequence[str]) -> tuple[list[str], bool]:
    """The options as the daemon takes them, and whether the system's paths are to be left open."""
    kept = [_security_option(text) for text in texts if text != "systempaths=unconfined"]
    return kept, len(kept) < len(texts)


def _is_cdi_name(text: str) -> bool:
    """`vendor.com/class=name`; no path, which begins with a slash."""
    kind, equals, name = text.partition("=")
    vendor, slash, class_ = kind.partition("/")
    return bool(equals and slash) and all(
        word[:1].isalnum() and all(mark.isalnum() or mark in _NAME_MARKS for mark in word)
        for word in (vendor, class_, name)
    )


def _device(text: str) -> dict[str, str]:
    host, _, rest = text.partition(":")
    container, _, permissions = rest.partition(":")
    if container and not permissions and not set(container) - set("rwm"):
        container, permissions = "", container
    if set(permissions) - set("rwm"):
        raise errors.InvalidArgument(f"invalid device mode: {permissions}")
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions or "rwm"}


def _gpu_request(text: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": {}}
    capabilities: list[str] = []
    seen: set[str] = set()
    for key, value in _fields(text):
        if key in seen:
            raise errors.InvalidArgument(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        match key:
            case "driver":
                request["Driver"] = value
            case "count":
                request["Count"] = _count(value)
            case "device":
                request["DeviceIDs"] = value.split(",")
            case "capabilities":
                capabilities = value.split(",")
            case "options":
                pairs = (word.partition("=") for word in value.split(","))
                request["Options"] = {name: rest for name, _, rest in pairs}
            case _:
                raise errors.InvalidArgument(f"unexpected key '{key}' in '{key}={value}'")
    if "count" not in seen and request["DeviceIDs"] is None:
        request["Count"] = 1
    request["Capabilities"] = [capabilities if "gpu" in capabilities else [*capabilities, "gpu"]]
    return request


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of one CSV line, a whole field may be quoted; one without a key is the count."""
    rest = text
    while rest:
        if rest.startswith('"') and '"' in rest[1:]:
            field, _, rest = rest[1:].partition('"')
            rest = rest.removeprefix(",")
        else:
            field, _, rest = rest.partition(",")
        key, equals, value = field.partition("=")
        yield (key, value) if equals else ("count", key)


def _count(text: str) -> int:
    if text == "all":
        return _ALL
    if not text.removeprefix("-").isdecimal():
        raise errors.InvalidArgument(f'invalid count ({text}): value must be either "all" or an integer')
    return int(text)


def _security_option(text: str) -> str:
    key, mark, value = text.partition("=")
    if not mark:
        key, mark, value = text.partition(":")
    if not mark and key != "no-new-privileges":
        raise errors.InvalidArgument(f"invalid --security-opt: {text}")
    if key != "seccomp" or value in ("unconfined", "builtin"):
        return text
    try:
        with open(value, encoding="utf-8") as file:
            return "seccomp=" + file.read()
    except OSError as error:
        raise errors.InvalidArgument(
            f"opening seccomp profile ({value}) failed: open {value}: {(error.strerror or '').lower()}"
        ) from error
