# SPDX-License-Identifier: Apache-2.0
"""A recorded pull of dockerd 28.5, said again by our own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.api.schema import messages
from holdfast.distribution import progress

RECORDED = Path(__file__).parent.parent / "distribution" / "data" / "dockerd-28.5-pull.txt"


def said_again(message: dict[str, Any]) -> dict[str, Any]:
    if "progressDetail" not in message:
        return progress.status(message["status"], message.get("id", ""))
    detail = message["progressDetail"]
    if not detail:
        return progress.layer(message["status"], message["id"])
    return progress.counted(message["status"], message["id"], detail["current"], detail["total"])


def test_every_line_of_dockerds_stream_is_reproduced_byte_for_byte() -> None:
    lines = RECORDED.read_bytes().splitlines(keepends=True)

    assert len(lines) > 60
    for line in lines:
        assert messages.encode(said_again(json.loads(line))) == line
