# SPDX-License-Identifier: Apache-2.0
"""Lengths of time in Go's words."""

import pytest

from holdfast.engine import durations


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (200_000_000, "200ms"),
        (1_500_000_000, "1.5s"),
        (30_000_000_000, "30s"),
        (90_000_000_000, "1m30s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (5_400_250_000_000, "1h30m0.25s"),
    ],
)
def test_the_text_is_gos(nanos, text):
    assert durations.text(nanos) == text
