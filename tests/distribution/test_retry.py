# SPDX-License-Identifier: Apache-2.0
"""When a series of attempts waits, and when it gives up."""

from __future__ import annotations

import pytest

from holdfast.distribution.retry import Policy, Series, retry_after_seconds

POLICY = Policy(attempts=4, deadline_seconds=30.0, first_delay_seconds=0.5, max_delay_seconds=8.0)


def test_delays_double_with_jitter_in_their_upper_half() -> None:
    series = Series(POLICY, now=0.0)

    assert [series.failed("x", 0.0, jitter) for jitter in (0.0, 1.0, 0.5)] == [0.25, 1.0, 1.5]


def test_it_gives_up_after_the_last_attempt_and_says_what_was_tried() -> None:
    series = Series(POLICY, now=0.0)
    for _ in range(3):
        assert series.failed("HTTP 500", 0.0, 0.0) is not None

    assert series.failed("HTTP 503", 2.0, 0.0) is None
    assert series.describe(2.5) == "4 attempts in 2.5s, the last one: HTTP 503"


def test_it_gives_up_when_the_next_attempt_would_be_after_the_deadline() -> None:
    assert Series(POLICY, now=0.0).failed("slow", 29.9, 0.0) is None


def test_progress_renews_attempts_and_deadline() -> None:
    series = Series(POLICY, now=0.0)
    for now in range(0, 1000, 20):
        series.progressed(float(now))
        assert series.failed("cut", float(now), 0.0) == 0.25


def test_the_registrys_wish_is_honoured_within_the_deadline() -> None:
    assert Series(POLICY, now=0.0).failed("429", 0.0, 0.0, 7.0) == 7.0
    assert Series(POLICY, now=0.0).failed("429", 0.0, 0.0, 3600.0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        (" 7 ", 7.0),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("9" * 50, 86400.0),
    ],
)
def test_retry_after_is_read_as_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds
