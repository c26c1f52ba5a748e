# SPDX-License-Identifier: Apache-2.0
"""Manifests as text: indented as Go does it, which matters for a list, whose digest is of these bytes. Pure.

Called by the `hold manifest` commands. Source: docker CLI 28.2; Go's encoding/json.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from holdfast.cli.manifest_store import Entry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")


def to_text(value: Any, indent: str) -> str:
    """The JSON that Go's MarshalIndent makes."""
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    for char, escape in _ESCAPED.items():
        text = text.replace(char, escape)
    return text


def indented(raw: bytes) -> str:
    """A manifest's bytes with line breaks and tabs; nothing else of it changes."""
    import json
    import re

    json.loads(raw)
    pieces: list[str] = []
    depth = 0
    tokens: list[str] = re.findall(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', raw.decode())
    for place, token in enumerate(tokens):
        if token in "}]":
            depth -= 1
            is_empty = tokens[place - 1] in "{["
            pieces.append(token if is_empty else "\n" + "\t" * depth + token)
        elif token in "{[":
            depth += 1
            is_empty = tokens[place + 1] in "}]"
            pieces.append(token if is_empty else token + "\n" + "\t" * depth)
        elif token == ",":
            pieces.append(",\n" + "\t" * depth)
        else:
            pieces.append(": " if token == ":" else token)
    return "".join(pieces)


def list_type(descriptors: Sequence[dict[str, Any]]) -> str:
    """An OCI index when the first image is OCI's, else Docker's list, as the docker CLI chooses."""
    return OCI_INDEX if descriptors and descriptors[0]["mediaType"] == OCI_MANIFEST else DOCKER_LIST


def list_text(descriptors: Sequence[dict[str, Any]]) -> str:
    """The list of these images, which is what is pushed and what is shown."""
    entries = [
        {
            "mediaType": descriptor["mediaType"],
            "size": descriptor["size"],
            "digest": descriptor["digest"],
            "platform": ordered(descriptor.get("platform") or {}),
        }
        for descriptor in descriptors
    ]
    return to_text({"schemaVersion": 2, "mediaType": list_type(descriptors), "manifests": entries}, " " * 3)


def ordered(platform: dict[str, Any]) -> dict[str, Any]:
    """A platform's members in Go's order, the empty ones left out but for the first two."""
    return {name: platform.get(name) or "" for name in _PLATFORM[:2]} | {
        name: platform[name] for name in _PLATFORM[2:] if platform.get(name)
    }


def check_same_registry(entry: Entry, target: str) -> None:
    """A list and its images lie in one registry."""
    has, wants = (name.partition("/")[0] for name in (entry.ref, target))
    if has != wants:
        raise errors.InvalidArgument(
            f"cannot use source images from a different registry than the target image: {has} != {wants}"
        )
