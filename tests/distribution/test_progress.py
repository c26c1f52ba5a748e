# SPDX-License-Identifier: Apache-2.0
"""Docker's messages and bars; the expected texts were printed by dockerd 28.5."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.distribution import progress


@pytest.mark.parametrize(
    ("current", "total", "bar"),
    [
        (36445, 3222523, "[>                                                  ]  36.45kB/3.223MB"),
        (447488, 42443683, "[>                                                  ]  447.5kB/42.44MB"),
        (26125346, 42443683, "[==============================>                    ]  26.13MB/42.44MB"),
        (425984, 42443683, "[>                                                  ]    426kB/42.44MB"),
        (2129920, 42443683, "[==>                                                ]   2.13MB/42.44MB"),
        (8945664, 42443683, "[==========>                                        ]  8.946MB/42.44MB"),
        (3178496, 3222523, "[=================================================> ]  3.178MB/3.223MB"),
        (3222523, 3222523, "[==================================================>]  3.223MB/3.223MB"),
        (3490290, 3490290, "[==================================================>]   3.49MB/3.49MB"),
        (32768, 2886145, "[>                                                  ]  32.77kB/2.886MB"),
        (971, 971, "[==================================================>]     971B/971B"),
        (5, 0, "      5B"),
        (0, 0, ""),
        (7, 5, "[==================================================>]       7B"),
    ],
)
def test_the_bar_is_dockers(current: int, total: int, bar: str) -> None:
    assert progress.bar(current, total) == bar


def test_messages_have_dockers_members_in_dockers_order() -> None:
    assert list(progress.counted("Downloading", "abc", 1, 2)) == ["status", "progressDetail", "progress", "id"]
    assert progress.layer("Pull complete", "abc") == {"status": "Pull complete", "progressDetail": {}, "id": "abc"}
    assert progress.status("Digest: x") == {"status": "Digest: x"}
    assert progress.failure("no") == {"errorDetail": {"message": "no"}, "error": "no"}


def test_a_meter_reports_steps_of_one_percent_ten_times_a_second_and_the_end() -> None:
    told: list[dict[str, Any]] = []
    meter = progress.Meter(told.append, "Downloading", "abc", 1000)

    for count, now in ((1, 0.0), (50, 0.5), (70, 0.55), (90, 0.7), (95, 0.9), (1000, 0.91), (1000, 2.0)):
        meter.report(count, now)

    assert [message["progressDetail"]["current"] for message in told] == [50, 90, 1000]
