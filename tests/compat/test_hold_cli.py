# SPDX-License-Identifier: Apache-2.0
"""`hold` does what the docker CLI does: the same scripts, both clients on one holdfastd.

Standard output and exit codes are equal; errors are worded by `hold` itself, so of them only the parsed words are compared.
"""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, answer, verdict
from test_docker_cli import CASES
from test_run_flags_limits import UPDATES

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("case", [case for case in (*CASES, *UPDATES) if not case.is_loose], ids=lambda case: case.name)
def test_hold_does_what_docker_does(case: Case, holdfastd: Daemon, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {REPOSITORY}/hold "$@"\n')
    program.chmod(0o755)
    with_hold = Case(case.name, f"PATH={program.parent}:$PATH\n{case.script}")

    their_out, their_errors, their_code = answer(case, holdfastd, tmp_path / "docker")
    our_out, our_errors, our_code = answer(with_hold, holdfastd, tmp_path / "hold")

    assert "Traceback" not in our_errors
    assert our_code == their_code, our_errors
    assert our_out == their_out
    assert bool(our_errors) == bool(their_errors)
    assert verdict(our_errors) == verdict(their_errors)
