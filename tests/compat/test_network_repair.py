# SPDX-License-Identifier: Apache-2.0
"""A living daemon puts its host's network right by itself, and says who harmed it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from compat_case import Daemon

LIST = "nft -s list table inet holdfast"


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_flushed_rules_are_back_within_five_seconds_and_the_log_names_the_program(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]], tmp_path: Path
) -> None:
    home = tmp_path / "d"
    with start_holdfastd(f"hf-repair-{time.monotonic_ns() % 10**9}", home) as daemon:
        daemon.sh("docker network create a")
        before = daemon.sh(LIST).stdout
        assert "br-" in before

        for _ in range(2):
            assert daemon.sh("nft flush ruleset").returncode == 0
            assert wait_for(lambda: daemon.sh(LIST).stdout == before)

        assert wait_for(lambda: (home / "log").read_text().count("changed the packet rules, now put right") == 2)
        assert "nft (process " in (home / "log").read_text()
