# SPDX-License-Identifier: Apache-2.0
"""The words of `docker ps`."""

from __future__ import annotations

import pytest

from holdfast.containers import status, timestamps
from holdfast.containers.record import Health, State

SECOND = 10**9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (49 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (61 * 86400, "2 months"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_durations_are_dockers(seconds: int, text: str) -> None:
    assert status.human_duration(seconds * SECOND) == text


def test_states_have_their_words() -> None:
    now = 1000 * SECOND
    up = State(status="running", started_nanos=now - 120 * SECOND)

    assert status.text(up, now) == "Up 2 minutes"
    up.health = Health(status="healthy")
    assert status.text(up, now) == "Up 2 minutes (healthy)"
    up.health.status = "starting"
    assert status.text(up, now) == "Up 2 minutes (health: starting)"
    up.status = "paused"
    assert status.text(up, now) == "Up 2 minutes (Paused)"
    ended = State(status="exited", exit_code=3, started_nanos=1, finished_nanos=now - 3 * SECOND)
    assert status.text(ended, now) == "Exited (3) 3 seconds ago"
    ended.status = "restarting"
    assert status.text(ended, now) == "Restarting (3) 3 seconds ago"
    assert status.text(State(), now) == "Created"
    assert status.text(State(status="dead"), now) == "Dead"
    assert status.text(State(status="removing"), now) == "Removal In Progress"
    assert status.text(State(status="exited", started_nanos=5), now) == ""


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1795227229_241690000, "2026-11-21T02:13:49.24169Z"),
        (1795227229_000000000, "2026-11-21T02:13:49Z"),
        (1795227229_000000001, "2026-11-21T02:13:49.000000001Z"),
    ],
)
def test_times_are_written_as_go_does(nanos: int, text: str) -> None:
    assert timestamps.rfc3339(nanos) == text
