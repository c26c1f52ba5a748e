# SPDX-License-Identifier: Apache-2.0
"""Says who is speaking: the attributes that go with every entry, and the tag (pure; the daemon's side).

Called by the engine when a container starts; what comes out travels to the shim with the launch. Source: moby
`daemon/logger/loginfo.go`, `loggerutils/log_tag.go`; Docker's documentation of log tags.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import InvalidArgument
from holdfast.logs import tag_template

_DEFAULT_TAG = "{{.ID}}"
_SHORT = 12
_KEEPS_FILES = ("json-file", "local")
_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """What drivers may tell of a container. `name` has no slash; `image_name` is what the user asked for."""

    container_id: str
    name: str
    image_id: str
    image_name: str
    command: Sequence[str]
    created_nanos: int
    environment: Sequence[str] = ()
    labels: Mapping[str, str]


def describe(driver: str, options: Mapping[str, str], speaker: Speaker) -> tuple[dict[str, str], dict[str, str]]:
    """Returns (attributes, facts) for `logs.driver.Target`; InvalidArgument for a template or pattern that is wrong."""
    attributes = _attributes(options, speaker)
    fields = _fields(speaker)
    if driver in _KEEPS_FILES:  # only a tag that was asked for
        tag = tag_template.render(options.get("tag", ""), fields)
        return {**attributes, **({"tag": tag} if tag else {})}, {}
    if driver == "none":
        return {}, {}
    facts = {
        "id": speaker.container_id,
        "name": speaker.name,
        "image_id": speaker.image_id,
        "image_name": speaker.image_name,
        "command": " ".join(speaker.command),
        "created": _moment(speaker.created_nanos),
        "tag": tag_template.render(options.get("tag") or _DEFAULT_TAG, fields),
    }
    return attributes, facts


def _attributes(options: Mapping[str, str], speaker: Speaker) -> dict[str, str]:
    variables = dict(entry.split("=", 1) for entry in speaker.environment if "=" in entry)
    found: dict[str, str] = {}
    for option, values in (("labels", speaker.labels), ("env", variables)):
        for name in options.get(option, "").split(","):
            if name in values:
                found[name] = values[name]
        pattern = options.get(f"{option}-regex", "")
        if pattern:
            expression = _compile(pattern)
            found.update((name, value) for name, value in values.items() if expression.search(name))
    return found


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidArgument(f"error parsing regexp: {error.msg}: `{pattern}`") from None


def _fields(speaker: Speaker) -> dict[str, object]:
    """The names that a template may use; methods and fields of Docker's type alike."""
    return {
        "ID": speaker.container_id[:_SHORT],
        "FullID": speaker.container_id,
        "ContainerID": speaker.container_id,
        "Name": speaker.name,
        "ContainerName": f"/{speaker.name}",
        "Command": " ".join(speaker.command),
        "ContainerEntrypoint": speaker.command[0] if speaker.command else "",
        "ContainerArgs": list(speaker.command[1:]),
        "ImageID": speaker.image_id.removeprefix("sha256:")[:_SHORT],
        "ImageFullID": speaker.image_id,
        "ContainerImageID": speaker.image_id,
        "ImageName": speaker.image_name,
        "ContainerImageName": speaker.image_name,
        "ContainerEnv": list(speaker.environment),
        "ContainerLabels": dict(speaker.labels),
        "Hostname": os.uname().nodename,
        "DaemonName": "docker",
    }


def _moment(nanos: int) -> str:
    """RFC 3339 as Go writes it: no trailing zeros."""
    second, fraction = divmod(nanos, _BILLION)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{text}.{f'{fraction:09d}'.rstrip('0')}Z" if fraction else f"{text}Z"
