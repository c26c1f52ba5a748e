# SPDX-License-Identifier: Apache-2.0
"""The tutorial's pages, run: every command as it stands there, against a real daemon, compared with what the page shows."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.stories.conftest import Daemon

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs/tutorial"
APPS = REPOSITORY.parent / "shared/images/debian-apps"
END = "-- this command is over --"


def _steps(page: Path) -> list[tuple[str, str]]:
    """The page's commands, each with the output that the page shows."""
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            steps.append((command, shown.strip()))
    return steps


def _matches(shown: str, output: str) -> bool:
    """`…` stands for anything; alone on a line for any lines, or none."""
    pattern = re.escape(shown).replace("\\\n…\\\n", "\n(?:.*\n)*?").replace("…\\\n", "(?:.*\n)*?")
    pattern = pattern.replace("\\\n…", "(?:\n.*)*").replace("…", ".*")
    return re.fullmatch(pattern, output, re.DOTALL) is not None


def _shell(address: str, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    netns = address.rpartition("@")[2]
    environment = {**os.environ, "DOCKER_HOST": address.rpartition("@")[0]}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["nsenter", f"--net=/run/netns/{netns}", "bash", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def address(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the tutorial's daemon is: its socket, and the network namespace that stands for the reader's machine."""
    archive = tmp_path_factory.mktemp("images") / "apps.tar"
    subprocess.run(["tar", "-C", str(APPS), "-cf", str(archive), "."], check=True)
    daemon.out("load", "-i", str(archive))
    return f"unix://{daemon.socket}@{daemon.netns}"


@pytest.mark.parametrize("page", ["1-containers", "2-networks-and-volumes", "3-images"])
def test_what_a_page_shows_is_what_happens(page: str, address: str, tmp_path: Path) -> None:
    steps = _steps(PAGES / f"{page}.md")
    lines = [f"{command}\necho; echo '{END}'" for command, _ in steps]

    done = _shell(address, tmp_path, "\n".join(lines))

    outputs = [part.strip() for part in done.stdout.split(END)]
    wrong = [
        f"$ {command}\n{output}\n-- but the page shows:\n{shown}"
        for (command, shown), output in zip(steps, outputs, strict=False)
        if not _matches(shown, output)
    ]
    assert len(outputs) == len(steps) + 1
    assert not wrong, "\n\n".join(wrong)


def test_the_page_on_python_is_a_doctest(address: str, tmp_path: Path) -> None:
    text = (PAGES / "4-python.md").read_text()
    examples = tmp_path / "examples.txt"
    examples.write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))

    done = _shell(address, tmp_path, f"{sys.executable} -m doctest {examples}")

    assert done.returncode == 0, done.stdout
    assert len(doctest.DocTestParser().get_examples(examples.read_text())) > 10
