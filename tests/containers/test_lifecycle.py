# SPDX-License-Identifier: Apache-2.0
"""The table of a container's life."""

from __future__ import annotations

import pytest

from holdfast.containers import lifecycle
from holdfast.errors import Internal


def test_the_table_knows_only_dockers_states() -> None:
    reached = {state for state, _ in lifecycle.TRANSITIONS} | set(lifecycle.TRANSITIONS.values())

    assert reached == set(lifecycle.STATES)


def test_every_state_can_be_left_and_every_process_can_die() -> None:
    for state in lifecycle.STATES:
        assert any(before == state for before, _ in lifecycle.TRANSITIONS), state
    assert lifecycle.after("running", "die") == lifecycle.after("paused", "die") == "exited"


def test_a_removed_container_never_starts() -> None:
    assert not lifecycle.allows("removing", "start")
    assert not lifecycle.allows("dead", "start")
    assert lifecycle.allows("exited", "start")


def test_an_impossible_step_is_our_bug() -> None:
    with pytest.raises(Internal, match="created cannot pause"):
        lifecycle.after("created", "pause")
