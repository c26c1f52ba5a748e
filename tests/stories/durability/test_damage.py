# SPDX-License-Identifier: Apache-2.0
"""State that was damaged on disk: the daemon starts, names what is damaged, and everything else is as it was."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGE = "story:1"


def eventually(claim: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits until the claim holds, and fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value
    return value


def damage(path: Path, how: str) -> None:
    """Makes a file empty, half as long, or something else altogether."""
    data = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "half":
        path.write_bytes(data[: len(data) // 2])
    elif how == "garbage":
        path.write_bytes(os.urandom(max(64, len(data))))
    else:
        path.unlink()


WAYS = ("empty", "half", "garbage", "gone")


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["config.json", "exit.json"])
def test_a_damaged_file_of_a_shim_hides_no_other_container(daemon: Any, name: str, how: str) -> None:
    daemon.out("run", "-d", "--name", "good", IMAGE, "sleep", "300")
    daemon.out("run", "-d", "--name", "bad", IMAGE, "sleep", "300" if name != "exit.json" else "0.5")
    good, bad_id = daemon.pid_of("good"), daemon.inspect("bad")["Id"]
    daemon.kill()
    victim = daemon.exec / "shims" / bad_id / name
    if name == "exit.json":
        eventually(victim.exists)
    damage(victim, how)

    daemon.start()

    assert daemon.pid_of("good") == good
    assert daemon.out("exec", "good", "echo", "fine") == "fine"
    state = daemon.inspect("bad")["State"]
    assert state["Status"] == ("exited" if name == "exit.json" else "running")


LOST = [*((part, how) for part in ("link", "lower") for how in WAYS), ("diff", "gone"), ("work", "gone"), (".", "gone")]


def lose(snapshot: Path, part: str, how: str) -> None:
    """Damages a file of a snapshot, or takes one of its directories away, `.` for the whole of it."""
    if (snapshot / part).is_dir():
        shutil.rmtree(snapshot / part)
    else:
        damage(snapshot / part, how)


def everything_else_works(daemon: Any, rootfs_tar: Path) -> None:
    """Whatever looks at all containers or all layers, and then the removal of all containers."""
    saved = str(daemon.root / "saved.tar")
    daemon.out("create", "--name", "sound", IMAGE, "true")
    for words in (
        ["import", str(rootfs_tar), "second:1"],
        ["save", "-o", saved, "second:1"],
        ["rmi", "second:1"],
        ["load", "-i", saved],
        ["commit", "sound", "third:1"],
        ["run", "--rm", "third:1", "true"],
        ["rmi", "second:1", "third:1"],
        ["system", "df", "-v"],
        ["image", "prune", "-f"],
        ["ps", "-a", "-s"],
        ["inspect", "-s", *daemon.containers()],
        ["container", "prune", "-f"],
    ):
        daemon.out(*words)
    assert [daemon.inspect(each)["State"]["Status"] for each in daemon.containers()] == ["running"]
    assert daemon.tracebacks() == ""


def test_a_power_loss_soon_after_creations_hides_nothing(daemon: Any, rootfs_tar: Path) -> None:
    """Every way of it in one run; what never ran begins anew, what ran goes on with what it wrote."""
    daemon.out("run", "-d", "--name", "good", IMAGE, "sleep", "300")
    good = daemon.pid_of("good")
    made: list[tuple[str, str]] = []
    for _ in LOST:
        fresh = daemon.out("create", IMAGE, "sh", "-c", "test -e /.dockerenv && echo hello")
        daemon.out("start", "-a", used := daemon.out("create", IMAGE, "sh", "-c", "echo mine >> /mine; cat /mine"))
        made.append((fresh, used))
    viewer = daemon.out("create", "--mount", f"type=image,src={IMAGE},dst=/x", IMAGE, "cat", "/x/etc/group")
    (view,) = (daemon.data / "overlay2").glob(f"{viewer}-*")
    daemon.kill()
    damage(view / "lower", "empty")
    for pair, (part, how) in zip(made, LOST, strict=True):
        for container_id in pair:
            lose(daemon.data / "overlay2" / container_id, part, how)

    daemon.start()

    assert daemon.pid_of("good") == good
    assert daemon.out("start", "-a", viewer) == "root:x:0:"
    for (fresh, used), (part, _) in zip(made, LOST, strict=True):
        assert daemon.out("start", "-a", fresh) == "hello"
        if part in ("diff", "."):
            for words in (["start"], ["diff"], ["export", "-o", str(daemon.root / "out.tar")], ["commit"]):
                done = daemon.docker(*words, used)
                assert done.returncode == 1, (words, done)
                assert f"the files of container {used} are damaged" in done.stderr, (words, done)
                assert "remove it and create it again" in done.stderr
            assert "are damaged" in daemon.docker("cp", f"{used}:/mine", "-").stderr
            daemon.out("rm", used)
        else:
            assert daemon.out("start", "-a", used) == "mine\nmine"
            assert "A /mine" in daemon.out("diff", used)
    everything_else_works(daemon, rootfs_tar)


def test_files_lost_under_a_living_daemon_hide_nothing_else(daemon: Any, rootfs_tar: Path) -> None:
    daemon.out("run", "-d", IMAGE, "sleep", "300")
    made = [daemon.out("create", IMAGE, "echo", "hello") for _ in LOST]
    daemon.restart()  # it remembers nothing of them
    for container_id, (part, how) in zip(made, LOST, strict=True):
        lose(daemon.data / "overlay2" / container_id, part, how)

    for container_id in made:
        done = daemon.docker("start", "-a", container_id)
        assert "internal error" not in done.stderr
        assert done.stdout == "hello\n" or done.stderr, done
    everything_else_works(daemon, rootfs_tar)


@pytest.mark.parametrize("how", ["half", "garbage", "empty", "gone"])
def test_a_damaged_database_does_not_stop_the_start(make_daemon: Any, how: str) -> None:
    daemon = make_daemon()
    running = daemon.out("run", "-d", "--name", "runs", IMAGE, "sleep", "300")
    pid = daemon.pid_of("runs")
    daemon.stop()
    for extra in ("metadata.db-wal", "metadata.db-shm"):
        (daemon.data / extra).unlink(missing_ok=True)
    damage(daemon.data / "metadata.db", how)

    daemon.start()

    assert daemon.docker("images").returncode == 0
    said = "metadata.db was damaged" if how in ("half", "garbage") else "metadata.db is gone or empty"
    assert said in daemon.log.read_text()
    assert daemon.out("ps", "-a", "--no-trunc", "-q") == running
    assert daemon.pid_of(running) == pid
    daemon.remove_all()
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def test_damage_in_the_middle_of_the_database_spares_what_can_be_read(make_daemon: Any) -> None:
    daemon = make_daemon()
    for number in range(20):
        daemon.out("create", "--name", f"c{number}", IMAGE, "true")
    daemon.stop()
    database = daemon.data / "metadata.db"
    data = bytearray(database.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = os.urandom(4096)
    database.write_bytes(bytes(data))

    daemon.start()

    assert len(daemon.containers()) == 20
    assert len([name for name in daemon.out("ps", "-a", "--format", "{{.Names}}").split() if name[0] == "c"]) >= 5
    assert daemon.docker("ps", "-a").returncode == 0
    daemon.remove_all()


def test_a_blob_that_the_disk_changed_is_named(make_daemon: Any) -> None:
    daemon = make_daemon()
    daemon.out("run", "-d", "--name", "runs", IMAGE, "sleep", "300")
    pid = daemon.pid_of("runs")
    daemon.stop()
    for blob in (daemon.data / "content/blobs/sha256").iterdir():
        damage(blob, "garbage")

    daemon.start()

    assert daemon.pid_of("runs") == pid
    assert daemon.docker("images").returncode == 0
    saved = daemon.docker("save", "-o", str(daemon.root / "saved.tar"), IMAGE)
    assert saved.returncode == 1
    assert "Traceback" not in saved.stderr
    daemon.remove_all()


def test_files_of_the_daemons_own_are_no_obstacle(make_daemon: Any) -> None:
    daemon = make_daemon()
    daemon.out("run", "-d", "--name", "runs", "-p", "8300:80", IMAGE, "sleep", "300")
    pid = daemon.pid_of("runs")
    daemon.kill()
    (daemon.data / "engine-id").write_bytes(os.urandom(20))
    (daemon.data / "content/oci-layout").write_bytes(b"")
    (daemon.root / "pid").write_text("1\n")
    for sandbox in (daemon.exec / "networks/sandboxes").iterdir():
        sandbox.write_bytes(b"{")
    (daemon.exec / "shims/stray").mkdir()
    (daemon.data / "containers/stray").mkdir()
    (daemon.data / "overlay2/stray").mkdir()

    daemon.start()

    assert daemon.pid_of("runs") == pid
    daemon.remove_all()
    assert daemon.leftovers() == {}


def test_a_second_daemon_on_the_data_root_refuses_and_a_stale_pidfile_does_not_matter(make_daemon: Any) -> None:
    daemon = make_daemon()
    second = make_daemon(start=False)
    second.data = daemon.data
    (second.root / "daemon.json").touch()
    refused = subprocess.run(second.command(), capture_output=True, text=True, timeout=20, check=False)

    assert refused.returncode == 1
    assert f"in use by another holdfastd (pid {daemon.pid})" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert daemon.api("GET", "/_ping")[0] == 200
    daemon.restart()
    daemon.kill()
    (daemon.root / "pid").write_text(str(os.getpid()))
    daemon.start()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["--host"], "flag needs an argument: --host"),
        (["-H", "tcp://0.0.0.0:2375"], "gives everybody who can connect root"),
        (["-H", "ftp://x"], "ftp"),
        (["--log-level", "loud"], "invalid logging level: loud"),
        (["--storage-driver", "nosuch"], "nosuch"),
        (["--bip", "nonsense"], "nonsense"),
        (["--tlsverify", "--tlscert", "/nosuch/cert.pem", "-H", "tcp://127.0.0.1:0"], "/nosuch/cert.pem"),
        (["word"], "accepts no arguments"),
    ],
)
def test_wrong_flags_refuse_the_start_in_one_line(make_daemon: Any, words: list[str], text: str) -> None:
    daemon = make_daemon(start=False, flags=words)
    (daemon.root / "daemon.json").touch()

    refused = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20, check=False)

    assert refused.returncode == 1
    assert text in refused.stderr
    assert "Traceback" not in refused.stderr
    assert daemon.strangers() == []


def test_records_of_containers_that_are_damaged_are_shown_and_removable(make_daemon: Any) -> None:
    daemon = make_daemon()
    daemon.out("run", "-d", "--name", "good", IMAGE, "sleep", "300")
    bad_id = daemon.out("run", "-d", "--name", "bad", IMAGE, "sleep", "300")
    good, bad = daemon.pid_of("good"), daemon.pid_of("bad")
    daemon.kill()
    with sqlite3.connect(daemon.data / "metadata.db") as database:
        change = "update records set document = ? where bucket = 'containers' and key = ?"
        assert database.execute(change, (b'{"id": 7', bad_id)).rowcount == 1
    database.close()

    daemon.start()

    assert daemon.pid_of("good") == good
    assert bad_id[:12] in daemon.out("ps", "-a")
    assert bad_id in daemon.log.read_text()
    assert daemon.docker("rm", "-f", bad_id).returncode == 0, daemon.tail()
    eventually(lambda: not os.path.exists(f"/proc/{bad}"))
    daemon.remove_all()
    assert daemon.leftovers() == {}
    assert json.loads(daemon.api("GET", "/info")[1])["Containers"] == 0
