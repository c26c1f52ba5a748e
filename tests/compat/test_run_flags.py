# SPDX-License-Identifier: Apache-2.0
"""Every flag of `docker run` and `docker update` is shown by some case of the flag tables, or is named here with the reason."""

import re
import subprocess
from types import ModuleType

import test_run_flags_limits
import test_run_flags_mounts
import test_run_flags_network
import test_run_flags_sandbox

TABLES = (test_run_flags_limits, test_run_flags_mounts, test_run_flags_network, test_run_flags_sandbox)
NOT_SHOWN = {
    "help": "the client's own",
    "disable-content-trust": "the client's own: which images it would trust",
    "kernel-memory": "gone from the API since 1.42, and hidden",
}


def flags_of(command: str) -> set[str]:
    """The long flags that the help of a docker command names."""
    done = subprocess.run(["docker", command, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^ +(?:-\w, )? *--([a-z0-9-]+)", done.stdout, flags=re.MULTILINE))


def bare(flag: str) -> str:
    return flag.removeprefix("--")


def shown(*tables: ModuleType) -> set[str]:
    return {bare(flag) for table in tables for case in table.CASES for flag in case.flags}


def test_every_flag_of_run_is_shown() -> None:
    flags = flags_of("run")

    assert len(flags) > 95
    assert sorted(flags - shown(*TABLES) - NOT_SHOWN.keys()) == []


def test_every_flag_of_update_is_shown() -> None:
    updates = {bare(flag) for case in test_run_flags_limits.UPDATES for flag in case.flags}

    assert sorted(flags_of("update") - updates - NOT_SHOWN.keys()) == []


def test_no_case_claims_a_flag_that_is_not() -> None:
    assert sorted(shown(*TABLES) - flags_of("run") - flags_of("update") - NOT_SHOWN.keys()) == []
