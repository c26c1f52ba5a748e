# SPDX-License-Identifier: Apache-2.0
"""Volumes that are mounts: there while somebody uses them, found again by the next daemon, never deleted through.

Each test runs its script in a mount namespace of its own, so that the host never sees these mounts.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PRELUDE = """
import json, os, sys
from pathlib import Path
from holdfast import metadata
from holdfast.errors import HoldfastError
from holdfast.volumes import Store
home = Path(sys.argv[1])
device = home / "device"
def opened():
    return Store(home / "volumes", metadata.Store(home / "metadata.db"))
def mounts():
    return [line.split()[4] for line in open("/proc/self/mountinfo") if str(home) in line.split()[4]]
def answer(*things):
    print(json.dumps(things))
store = opened()
BIND = {"type": "none", "o": "bind", "device": str(device)}
TMPFS = {"type": "tmpfs", "o": "size=1m,uid=7", "device": "tmpfs"}
"""


def run(tmp_path: Path, script: str) -> Any:
    (tmp_path / "device").mkdir()
    (tmp_path / "device/kept").touch()
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", PRELUDE + script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_tmpfs_is_shared_by_its_users_and_empty_after_the_last(tmp_path):
    script = """
store.create("fast", options=TMPFS)
first = store.acquire("fast", "a")
Path(first, "file").touch()
second = store.acquire("fast", "b")
seen = os.listdir(second), os.stat(second).st_uid, len(mounts())
store.release("fast", "a")
still = os.listdir(second)
store.release("fast", "b")
answer(first == second, seen, still, mounts(), os.listdir(first))
"""
    assert run(tmp_path, script) == [True, [["file"], 7, 1], ["file"], [], []]


@pytest.mark.parametrize(("word", "writable"), [("bind", True), ("rbind", True), ("bind,ro", False)])
def test_a_directory_of_the_host_appears_and_stays_when_the_volume_goes(tmp_path, word, writable):
    script = f"""
store.create("bound", options={{**BIND, "o": {word!r}}})
path = store.acquire("bound", "a")
try:
    Path(path, "new").touch()
    writable = True
except OSError:
    writable = False
seen = sorted(os.listdir(path))
store.release("bound", "a")
store.remove("bound")
answer(seen[0], writable, mounts(), (device / "kept").exists())
"""
    assert run(tmp_path, script) == ["kept", writable, [], True]


def test_removing_a_volume_never_deletes_through_a_mount_that_was_forgotten(tmp_path):
    script = """
store.create("bound", options=BIND)
store.acquire("bound", "a")
next_one = opened()
next_one.remove("bound")
answer((device / "kept").exists(), mounts(), os.listdir(home / "volumes"))
"""
    assert run(tmp_path, script) == [True, [], []]


def test_the_next_daemon_keeps_what_is_used_and_unmounts_the_rest(tmp_path):
    script = """
for name in ("used", "left"):
    store.create(name, options=TMPFS)
    Path(store.acquire(name, "a"), "file").touch()
store.create("plain")
next_one = opened()
next_one.adopt("used", "a")
settled = next_one.settle()
again = os.listdir(next_one.acquire("used", "b"))
next_one.release("used", "a")
next_one.release("used", "b")
answer([Path(path).parent.name for path in settled], again, mounts())
"""
    assert run(tmp_path, script) == [["left"], ["file"], []]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"type": "none", "o": "bind", "device": "/nowhere/at/all"}, "InvalidArgument", "0x1000: no such file"),
        ({"type": "nosuchfs", "device": "x"}, "InvalidArgument", "no such device"),
        ({"type": "tmpfs", "o": "bogus=1", "device": "x"}, "InvalidArgument", "data: bogus=1: invalid argument"),
        ({"type": "nfs", "o": "addr=nosuch.invalid", "device": ":/x"}, "Unavailable", "lookup nosuch.invalid"),
    ],
)
def test_what_cannot_be_mounted_is_told_and_leaves_nobody_counted(tmp_path, options, kind, text):
    script = f"""
store.create("bad", options={options!r})
try:
    store.acquire("bad", "a")
except HoldfastError as error:
    answer(type(error).__name__, error.message, store.release("bad", "a"), mounts(), bool(store.remove("bad")))
"""
    found = run(tmp_path, script)

    assert found[0] == kind
    assert text in found[1]
    assert "error while mounting volume" in found[1]
    assert found[2:] == [False, [], True]


def test_copy_up_fills_an_empty_device_and_no_tmpfs(tmp_path):
    (tmp_path / "image/srv").mkdir(parents=True)
    (tmp_path / "image/srv/file").write_text("hello")
    script = """
os.unlink(device / "kept")
store.create("bound", options=BIND)
store.create("fast", options=TMPFS)
fd = os.open(home / "image", os.O_RDONLY)
copied = [store.populate("bound", fd, "/srv"), store.populate("fast", fd, "/srv"), store.populate("bound", fd, "/srv")]
answer(copied, os.listdir(device), mounts())
"""
    assert run(tmp_path, script) == [[True, False, False], ["file"], []]


def test_a_copy_up_into_what_cannot_be_mounted_says_so(tmp_path):
    (tmp_path / "image/srv").mkdir(parents=True)
    script = """
store.create("bad", options={**BIND, "device": "/nowhere"})
fd = os.open(home / "image", os.O_RDONLY)
try:
    store.populate("bad", fd, "/srv")
except HoldfastError as error:
    answer(error.message.split("'")[0], store.populate("bad", fd, "/not/there"))
"""
    assert run(tmp_path, script) == ["failed to populate volume: error while mounting volume ", False]
