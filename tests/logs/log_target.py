# SPDX-License-Identifier: Apache-2.0
"""What a shim is told of a log, for the tests of logs."""

from collections.abc import Mapping
from pathlib import Path

from holdfast.logs.driver import Target

FACTS = {
    "id": "a1b2c3d4e5f6" + "0" * 52,
    "name": "web",
    "image_id": "sha256:" + "7" * 64,
    "image_name": "busybox:1",
    "command": "sh -c x",
    "created": "2023-11-14T22:13:20.5Z",
    "tag": "a1b2c3d4e5f6",
}


def target(
    driver: str,
    path: Path | str = "",
    options: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    *,
    cache_path: Path | str = "",
    tag: str = FACTS["tag"],
) -> Target:
    """One container's log."""
    return {
        "driver": driver,
        "path": str(path),
        "cache_path": str(cache_path),
        "options": options or {},
        "attributes": attributes or {},
        "facts": {**FACTS, "tag": tag},
    }
