# SPDX-License-Identifier: Apache-2.0
"""`hold doctor` beside a daemon: well when all is well, and it finds what a crash may leave."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

IMAGE = "story:1"
MAIN = "import sys; from holdfast.cli.main import main; sys.exit(main())"


def ask(daemon: Any) -> tuple[int, dict[str, list[dict[str, str]]]]:
    done = daemon.in_netns(
        sys.executable, "-c", MAIN, "-H", f"unix://{daemon.socket}", "doctor", "--json",
        "--data-root", str(daemon.data), "--exec-root", str(daemon.exec), "--cgroup-parent", daemon.parent,
        "--config-file", str(daemon.root / "daemon.json"),
    )  # fmt: skip
    sections: dict[str, list[dict[str, str]]] = {}
    for row in json.loads(done.stdout):
        sections.setdefault(row["section"], []).append(row)
    return done.returncode, sections


def test_a_daemon_at_work_is_well(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "web", "-v", "/data", IMAGE, "sleep", "300")

    _, sections = ask(daemon)

    for name in ("Configuration", "Storage", "Network", "Daemon", "Leftovers"):
        assert [row for row in sections[name] if row["grade"] != "ok"] == [], name
    assert "1 containers are known" in sections["Leftovers"][0]["said"]


def test_a_dead_daemon_and_its_leftovers(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "web", IMAGE, "sleep", "300")
    strange = daemon.exec / "shims" / ("e" * 64)
    daemon.kill()
    os.mkdir(strange)
    try:
        code, sections = ask(daemon)
    finally:
        daemon.start()

    assert code == 1
    assert "shims' folders of nobody" in sections["Leftovers"][0]["said"]
    assert {row["grade"] for row in sections["Daemon"]} == {"note"}
    assert not strange.exists()  # the step that it gives helps
    assert ask(daemon)[1]["Leftovers"][0]["grade"] == "ok"
