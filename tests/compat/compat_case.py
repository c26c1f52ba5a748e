# SPDX-License-Identifier: Apache-2.0
"""One compared script: how it runs on two daemons, how their answers are made comparable, where ours differ on purpose."""

import re
import subprocess
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class Daemon(Protocol):
    """What the fixtures of conftest.py give."""

    name: str
    socket: Path
    netns: str

    def sh(self, script: str, timeout: float = 60, folder: Path | None = None) -> subprocess.CompletedProcess[str]: ...

    def objects(self) -> set[str]: ...

    def remove(self, objects: set[str]) -> None: ...


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


class Answer(NamedTuple):
    """What one daemon says."""

    out: str
    err: str
    code: int


def answer(case: Case, daemon: Daemon, folder: Path) -> Answer:
    """Runs the case on one daemon, in a folder that it makes."""
    folder.mkdir()
    try:
        done = daemon.sh(case.script, folder=folder)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{daemon.name} did not finish") from None
    return Answer(normal(done.stdout, folder), normal(done.stderr, folder), done.returncode)


def what_is_left(daemon: Daemon, before: set[str]) -> set[str]:
    """What a case leaves behind, removed; a container with `--rm` may go a moment after its client."""
    deadline = time.monotonic() + 10
    while left := daemon.objects() - before:
        if time.monotonic() > deadline:
            daemon.remove(left)
            break
        time.sleep(0.05)
    return left


def compare(
    case: Case, dockerd: Daemon, holdfastd: Daemon, folder: Path, *, leaves: Set[str] = frozenset[str]()
) -> None:
    """Runs the case on both and asserts that Holdfast answers as dockerd does, and that the case leaves nothing else.

    Ours answers once. dockerd is not what is tested, and has races of its own: where the answers differ it is asked again.
    """
    before = holdfastd.objects() | leaves
    ours = answer(case, holdfastd, folder / "holdfast")
    left = what_is_left(holdfastd, before)
    assert not left, "the case leaves these"
    assert "Traceback" not in ours.out + ours.err

    for attempt in ("dockerd", "dockerd-again"):
        before = dockerd.objects() | leaves
        theirs = expected(case, answer(case, dockerd, folder / attempt))
        what_is_left(dockerd, before)
        if agree(case, ours, theirs):
            return
    assert ours == theirs, "neither of dockerd's two answers is ours; the second"


def expected(case: Case, theirs: Answer) -> Answer:
    """dockerd's answer with our words where we differ on purpose."""
    out, err, code = theirs
    for difference in case.differs:
        out = re.sub(difference.theirs, difference.ours, out, flags=re.MULTILINE)
        err = re.sub(difference.theirs, difference.ours, err, flags=re.MULTILINE)
    return Answer(out, err, code)


def agree(case: Case, ours: Answer, theirs: Answer) -> bool:
    """Whether two answers are the same as far as the case asks for it."""
    if case.is_loose:
        return ours.code == theirs.code
    if case.is_error:
        errors_agree = bool(ours.err) == bool(theirs.err) and verdict(ours.err) == verdict(theirs.err)
    else:
        errors_agree = ours.err == theirs.err
    return ours.code == theirs.code and ours.out == theirs.out and errors_agree


def verdict(text: str) -> list[str]:
    """The first of the parsed words in an error."""
    return sorted(set(re.findall(_PARSED, text)))[:1]
