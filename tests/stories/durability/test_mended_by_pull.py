# SPDX-License-Identifier: Apache-2.0
"""A blob of an image that the disk changed or lost is named by whatever needs it, and the next pull mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = "story:1"
IMAGE = "127.0.0.1:5001/team/app:1"
ELSEWHERE = "127.0.0.1:5002/other/app:1"


@pytest.fixture
def daemon(make_daemon: Any, tmp_path: Path) -> Iterator[Any]:
    """A daemon whose image was pulled from a registry."""
    made = make_daemon()
    serve = [
        sys.executable,
        "-m",
        "holdfast.registry.main",
        "--listen",
        "127.0.0.1:5001",
        "--root",
        str(tmp_path / "r"),
    ]
    registry = subprocess.Popen(["nsenter", f"--net=/run/netns/{made.netns}", *serve], stderr=subprocess.DEVNULL)
    try:
        probe = ["curl", "-fs", "--retry", "100", "--retry-delay", "0", "--retry-connrefused"]
        assert made.in_netns(*probe, "http://127.0.0.1:5001/v2/", timeout=60).returncode == 0
        made.out("tag", SOURCE, IMAGE)
        made.out("push", IMAGE)
        made.out("rmi", SOURCE, IMAGE)
        made.out("pull", IMAGE)
        yield made
    finally:
        registry.kill()
        registry.wait()


def blobs(daemon: Any) -> dict[str, Path]:
    """The image's blobs by what they are."""
    folder: Path = daemon.data / "content/blobs/sha256"
    config = json.loads(daemon.out("inspect", IMAGE))[0]["Id"].removeprefix("sha256:")
    manifest = daemon.out("inspect", "-f", "{{index .RepoDigests 0}}", IMAGE).rpartition(":")[2]
    layer = json.loads((folder / manifest).read_text())["layers"][0]["digest"].removeprefix("sha256:")
    return {"config": folder / config, "manifest": folder / manifest, "layer": folder / layer}


def spoil(path: Path) -> None:
    """Changes a byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("part", ["config", "manifest"])
def test_a_document_is_named_by_run_and_mended_by_pull(daemon: Any, part: str) -> None:
    victim = blobs(daemon)[part]
    daemon.stop()
    sound = victim.read_bytes()
    spoil(victim)
    daemon.start()

    run = daemon.docker("run", "--rm", IMAGE, "true")
    pulled = daemon.docker("pull", IMAGE)

    assert run.returncode == 125
    assert f"blob sha256:{victim.name} is damaged on disk: pull the image again" in run.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert victim.read_bytes() == sound
    assert daemon.out("run", "--rm", IMAGE, "echo", "fine") == "fine"


def test_a_layer_is_named_by_push_and_mended_by_pull(daemon: Any) -> None:
    victim = blobs(daemon)["layer"]
    sound = victim.read_bytes()
    spoil(victim)
    daemon.out("tag", IMAGE, ELSEWHERE)
    serve = ["nsenter", f"--net=/run/netns/{daemon.netns}", sys.executable, "-m", "holdfast.registry.main"]
    other = subprocess.Popen(
        [*serve, "--listen", "127.0.0.1:5002", "--root", str(daemon.root / "other")], stderr=subprocess.DEVNULL
    )
    try:
        probe = ["curl", "-fs", "--retry", "100", "--retry-delay", "0", "--retry-connrefused"]
        assert daemon.in_netns(*probe, "http://127.0.0.1:5002/v2/", timeout=60).returncode == 0
        refused = daemon.docker("push", ELSEWHERE)
        pulled = daemon.docker("pull", IMAGE)
        pushed = daemon.docker("push", ELSEWHERE)
    finally:
        other.kill()
        other.wait()

    assert f"blob sha256:{victim.name} is damaged on disk: pull the image again" in refused.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert victim.read_bytes() == sound
    assert pushed.returncode == 0, pushed.stderr


@pytest.mark.parametrize("how", ["gone", "shorter"])
def test_a_layer_that_is_visibly_wrong_is_named_by_save_and_mended_by_pull(daemon: Any, how: str) -> None:
    victim = blobs(daemon)["layer"]
    sound = victim.read_bytes()
    if how == "gone":
        victim.unlink()
    else:
        victim.write_bytes(sound[:-10])

    saved = daemon.docker("save", "-o", str(daemon.root / "saved.tar"), IMAGE)
    pulled = daemon.docker("pull", IMAGE)

    assert f"blob sha256:{victim.name} is missing or damaged; pull the image again" in saved.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert victim.read_bytes() == sound
    assert daemon.docker("save", "-o", str(daemon.root / "saved.tar"), IMAGE).returncode == 0


def test_a_layer_that_looks_right_ends_a_save_and_is_mended_by_pull(daemon: Any) -> None:
    victim = blobs(daemon)["layer"]
    sound = victim.read_bytes()
    spoil(victim)

    saved = daemon.docker("save", "-o", str(daemon.root / "saved.tar"), IMAGE)
    pulled = daemon.docker("pull", IMAGE)

    assert saved.returncode == 1
    assert f"blob sha256:{victim.name} is damaged on disk: pull the image again" in daemon.log.read_text()
    assert pulled.returncode == 0, pulled.stderr
    assert victim.read_bytes() == sound


def test_unpacked_files_that_are_gone_come_with_the_next_run(daemon: Any) -> None:
    layer = blobs(daemon)["layer"]
    daemon.stop()
    for snapshot in (daemon.data / "overlay2").iterdir():
        if snapshot.name != "l" and (snapshot / "diff").exists():
            subprocess.run(["rm", "-rf", str(snapshot)], check=True)
    spoil(layer)
    daemon.start()

    assert daemon.out("run", "--rm", IMAGE, "echo", "fine") == "fine"
    assert daemon.docker("save", "-o", str(daemon.root / "saved.tar"), IMAGE).returncode == 0
