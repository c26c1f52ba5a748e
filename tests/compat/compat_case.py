# SPDX-License-Identifier: Apache-2.0
"""One compared script: how it runs on two daemons, how their answers are made comparable, where ours differ on purpose."""

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Daemon(Protocol):
    """What the fixtures of conftest.py give."""

    name: str
    socket: Path
    netns: str

    def sh(self, script: str, timeout: float = 60, folder: Path | None = None) -> subprocess.CompletedProcess[str]: ...

    def containers(self) -> set[str]: ...


@dataclass(frozen=True)
class Difference:
    """An intended difference: dockerd's words (a regular expression), ours in their place, and why."""

    theirs: str
    ours: str
    why: str


@dataclass(frozen=True)
class Case:
    """`is_error`: the error's wording may differ but for the words that clients parse; `is_loose`: only the exit code counts.

    `flags` names the flags of `docker run` (or `docker update`) whose effect the case shows; test_run_flags.py asks that
    every flag is shown by some case.
    """

    name: str
    script: str
    is_error: bool = False
    is_loose: bool = False
    differs: tuple[Difference, ...] = ()
    flags: tuple[str, ...] = ()


OWN_RUNTIME = Difference(
    '"Runtime":"runc"', '"Runtime":"holdfast"', "runc is a name for the real runc; ours is holdfast"
)

_REFUSED = 125
"""The docker CLI's exit code for what the daemon has refused."""
_RULES = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short-id>"),
    (r"/[a-z]+_[a-z]+\b", "/<name>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC|[+-]\d\d:\d\d)?", "<time>"),
    (r"\b(Less than a second|About a minute|\d+ seconds?|\d+ minutes?)( ago)?\b", "<age>"),
    (r" {2,}", "  "),
]
# the substrings of an error that the CLI chooses exit codes by, or that people search for
_PARSED = (
    r"executable file not found|no such file or directory|permission denied|is a directory"
    r"|port is already allocated|not found|invalid|unrecognized|not a directory"
)


def normal(text: str, folder: Path) -> str:
    """The text with ids, times, ages and the case's folder replaced."""
    text = text.replace(str(folder), "<folder>")
    for pattern, shown in _RULES:
        text = re.sub(pattern, shown, text)
    return text


def answer(case: Case, daemon: Daemon, folder: Path) -> tuple[str, str, int]:
    """What one daemon says: output, errors, exit code."""
    folder.mkdir()
    try:
        done = daemon.sh(case.script, folder=folder)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{daemon.name} did not finish") from None
    return normal(done.stdout, folder), normal(done.stderr, folder), done.returncode


def wait_for_removals(daemon: Daemon, before: set[str]) -> set[str]:
    """What a case leaves behind; a container with `--rm` may go a moment after its client."""
    deadline = time.monotonic() + 3
    while left := daemon.containers() - before:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return left


def compare(case: Case, dockerd: Daemon, holdfastd: Daemon, folder: Path) -> None:
    """Runs the case on both and asserts that Holdfast answers as dockerd does, and that the case leaves no container."""
    their_out, their_err, their_code = answer(case, dockerd, folder / "dockerd")
    before = holdfastd.containers()
    our_out, our_err, our_code = answer(case, holdfastd, folder / "holdfast")
    left = wait_for_removals(holdfastd, before)
    if their_code == _REFUSED != our_code:  # dockerd is not what is tested, and fails a start now and then
        their_out, their_err, their_code = answer(case, dockerd, folder / "dockerd-again")
    for difference in case.differs:
        their_out = re.sub(difference.theirs, difference.ours, their_out, flags=re.MULTILINE)
        their_err = re.sub(difference.theirs, difference.ours, their_err, flags=re.MULTILINE)

    assert not left, f"the next case would meet {left}"
    assert "Traceback" not in our_out + our_err
    assert our_code == their_code, f"ours: {our_err}\ntheirs: {their_err}"
    if case.is_loose:
        return
    assert our_out == their_out
    if case.is_error:
        assert bool(our_err) == bool(their_err)
        assert verdict(our_err) == verdict(their_err)
    else:
        assert our_err == their_err


def verdict(text: str) -> list[str]:
    """The first of the parsed words in an error."""
    return sorted(set(re.findall(_PARSED, text)))[:1]
