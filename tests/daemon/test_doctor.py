# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of a data root in every state, and how it says it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import stat
from pathlib import Path

import pytest

from holdfast import metadata
from holdfast.daemon.doctor import finding, host, main, service, storage
from holdfast.daemon.doctor.finding import good, note, wrong
from holdfast.transport.listener import Address

KNOWN, UNKNOWN = "a" * 64, "b" * 64


@pytest.fixture
def roots(tmp_path: Path) -> list[str]:
    data, run = tmp_path / "data", tmp_path / "exec"
    (data / "containers" / KNOWN).mkdir(parents=True)
    (run / "shims" / KNOWN).mkdir(parents=True)
    data.chmod(0o700)
    store = metadata.Store(data / "metadata.db")
    with store.transaction() as transaction:
        transaction.put("containers", KNOWN, b"{}")
        transaction.put("images", "i", b"{}")
    store.close()
    (tmp_path / "daemon.json").write_text("{}")
    words = {"config-file": tmp_path / "daemon.json", "data-root": data, "exec-root": run, "cgroup-parent": "/nosuch"}
    return [f"--{name}={value}" for name, value in words.items()]


def said(words: list[str], section: str) -> str:
    found = dict(main.examine(words, sockets=("unix:///nosuch.sock",), verifies=True))[section]
    return "\n".join(f"{each.grade} {each.said}" for each in found)


def tree(root: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*"))


def test_a_sound_root_that_nobody_works_on(roots: list[str], tmp_path: Path) -> None:
    before = tree(tmp_path)

    assert "ok" in said(roots, "Configuration")
    assert "every record is whole" in said(roots, "Storage")
    assert said(roots, "Leftovers") == "ok nothing is left over; 1 containers are known"
    assert "note no daemon works on" in said(roots, "Daemon")
    assert said(roots, "Blobs") == "ok 0 blobs are what their names say"
    assert tree(tmp_path) == before


def test_what_belongs_to_no_container(roots: list[str], tmp_path: Path) -> None:
    (tmp_path / "data/containers" / UNKNOWN).mkdir()
    (tmp_path / "exec/shims" / UNKNOWN).mkdir()
    (tmp_path / "exec/netns").mkdir()
    (tmp_path / "exec/netns/x").touch()

    found = said(roots, "Leftovers")

    assert f"wrong 1 shims' folders of nobody in {tmp_path}/exec/shims, such as {UNKNOWN[:12]}" in found
    assert f"wrong 1 containers' folders of nobody in {tmp_path}/data/containers" in found
    assert "note 1 network namespaces wait" in found


def test_a_damaged_record_and_a_damaged_file(roots: list[str], tmp_path: Path) -> None:
    path = tmp_path / "data/metadata.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET document = x'7b' WHERE bucket = 'images'")
    connection.close()
    assert "wrong the record i in images is damaged" in said(roots, "Storage")

    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    for other in ("-wal", "-shm"):
        Path(f"{path}{other}").unlink(missing_ok=True)

    assert f"wrong {path}: " in said(roots, "Storage")
    assert "note who is known cannot be read" in said(roots, "Leftovers")


def test_a_root_that_is_open_or_not_there(roots: list[str], tmp_path: Path) -> None:
    (tmp_path / "data").chmod(0o755)
    assert f"wrong {tmp_path}/data is open to others than root" in said(roots, "Storage")

    absent = f"{tmp_path}/absent"
    assert f"note {absent} does not exist" in said([roots[0], f"--data-root={absent}", *roots[2:]], "Storage")


def test_blobs_that_changed(roots: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "data/content/blobs/sha256"
    folder.mkdir(parents=True)
    sound = hashlib.sha256(b"sound").hexdigest()
    (folder / sound).write_bytes(b"sound")
    (folder / UNKNOWN).write_bytes(b"other")

    assert said(roots, "Blobs") == f"wrong blob sha256:{UNKNOWN} is not what its name says"


def test_a_wrong_configuration_is_the_first_thing_said(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"nosuch": 1}')

    found = said([f"--config-file={tmp_path}/daemon.json"], "Configuration")

    assert found.startswith("wrong unable to configure the Docker daemon with file")
    assert "nosuch" in found


def test_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "d.sock")

    def look(is_running: bool) -> finding.Finding:
        return service.look_at_socket(Address("unix", path=path), is_running=is_running)

    assert look(False).grade == "note"
    assert "is gone, though the daemon runs" in look(True).said
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o660)
    listener.close()

    assert "was left by a daemon that is gone" in look(False).said
    assert "does not answer" in look(True).said
    os.chmod(path, 0o666)
    assert "open to everybody" in look(False).said
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.5-arch1", (6, 18)), ("5.15.0", (5, 15)), ("5.4", (5, 4)), ("6.1-rc3", (6, 1)), ("odd", (0, 0))],
)
def test_versions_of_kernels(release: str, version: tuple[int, int]) -> None:
    assert host.kernel_version(release) == version


def test_the_report() -> None:
    shown = finding.render([("One", [good("a")]), ("Two", [wrong("b", "mend"), note("c", "nothing")])])

    assert shown == (
        "One\n  ok     a\n\nTwo\n  wrong  b\n         -> mend\n  note   c\n         -> nothing\n\n"
        "1 wrong, 1 worth knowing, 1 well.\n"
    )
    assert finding.render([("One", [good("a")])]).endswith("\nAll is well.\n")


def test_json_and_the_exit_status(roots: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main.main(["--json", "--socket=/nosuch.sock", *roots])

    rows = json.loads(capsys.readouterr().out)
    assert {"section", "grade", "said", "step"} == set(rows[0])
    assert code == int(any(row["grade"] == "wrong" for row in rows))


def test_reading_a_database_leaves_no_file(roots: list[str], tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path / "data"))

    assert storage.damaged_records(str(tmp_path / "data/metadata.db")) == []

    assert sorted(os.listdir(tmp_path / "data")) == before
