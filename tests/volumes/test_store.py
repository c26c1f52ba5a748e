# SPDX-License-Identifier: Apache-2.0
"""The life of volumes: names, records, use, removal, restart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast import metadata
from holdfast.errors import Conflict, HoldfastError, InvalidArgument, NotFound
from holdfast.volumes import ANONYMOUS_LABEL, Store, Write


def opened(tmp_path: Path) -> Store:
    return Store(tmp_path / "volumes", metadata.Store(tmp_path / "metadata.db"), now_nanos=lambda: 7)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path)


def test_a_named_volume_has_a_directory_and_is_found_after_a_restart(store: Store, tmp_path: Path) -> None:
    made, is_new = store.create("data", labels={"a": "b"})

    assert is_new
    assert made.mountpoint == str(tmp_path / "volumes" / "data" / "_data")
    assert Path(made.mountpoint).stat().st_mode & 0o777 == 0o755
    assert opened(tmp_path).get("data") == made


def test_creating_again_gives_the_old_one_unchanged(store: Store) -> None:
    first, _ = store.create("data", labels={"a": "b"})

    second, is_new = store.create("data", labels={"c": "d"})

    assert second == first
    assert not is_new


def test_a_volume_without_a_name_is_anonymous(store: Store) -> None:
    made, _ = store.create()

    assert len(made.name) == 64
    assert made.labels == {ANONYMOUS_LABEL: ""}
    assert made.is_anonymous


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../x", 'create ../x: "../x" includes invalid characters for a local volume name, only'),
        ("a", "create a: volume name is too short, names should be at least two alphanumeric characters"),
        ("a/b", "invalid characters"),
        (".hidden", "invalid characters"),
        ("x" * 256, "invalid characters"),
        ("a\0b", "invalid characters"),
    ],
)
def test_bad_names_are_refused_in_dockers_words(store: Store, name: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        store.create(name)

    assert text in caught.value.message


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"bogus": "x"}, InvalidArgument, 'create dv: invalid option: "bogus"'),
        ({"type": "tmpfs"}, InvalidArgument, 'create dv: missing required option: "device"'),
        ({"device": "/x"}, InvalidArgument, 'create dv: missing required option: "type"'),
        ({"o": "bind"}, InvalidArgument, 'create dv: missing required option: "type"'),
        ({"size": "10m"}, InvalidArgument, "create dv: quota size requested but no quota support"),
        ({"type": "none", "device": "x", "o": "bind"}, InvalidArgument, "absolute"),
    ],
)
def test_bad_options_are_refused(store: Store, options: dict[str, str], kind: type[HoldfastError], text: str) -> None:
    with pytest.raises(kind) as caught:
        store.create("dv", options=options)

    assert text in caught.value.message
    assert not store.has("dv")


def test_an_unknown_driver_is_refused_in_dockers_words(store: Store) -> None:
    with pytest.raises(NotFound, match='create dv: error looking up volume plugin nosuch: plugin "nosuch" not found'):
        store.create("dv", driver="nosuch")


def test_a_plain_volume_is_mounted_where_it_lies(store: Store) -> None:
    made, _ = store.create("data")

    assert store.acquire("data", "one") == made.mountpoint
    assert store.acquire("data", "one") == made.mountpoint
    assert store.release("data", "one")
    assert not store.release("data", "one")


def test_a_volume_whose_directory_is_gone_gets_another(store: Store) -> None:
    made, _ = store.create("data")
    os.rmdir(made.mountpoint)

    with store.mounted("data") as path:
        assert os.listdir(path) == []


def test_a_pinned_volume_is_not_removed_by_others(store: Store) -> None:
    store.create("data", pin="creating")

    with pytest.raises(Conflict, match=r"remove data: volume is in use - \[creating\]"):
        store.remove("data", force=True)
    store.unpin("creating")

    assert store.remove("data")


def test_who_pinned_a_volume_may_remove_it(store: Store) -> None:
    store.create("data", pin="creating")

    assert store.remove("data", pin="creating")


def test_a_volume_whose_record_was_never_written_is_gone_after_a_restart(store: Store, tmp_path: Path) -> None:
    writes: list[Write] = []
    made, _ = store.create(writes=writes)
    Path(made.mountpoint, "file").touch()

    assert [write[:2] for write in writes] == [("volumes", made.name)]
    assert opened(tmp_path).list() == []
    assert not Path(made.mountpoint).exists()


def test_a_volume_whose_record_came_with_another_one_stays(store: Store, tmp_path: Path) -> None:
    writes: list[Write] = []
    made, _ = store.create(writes=writes)
    with metadata.Store(tmp_path / "metadata.db").transaction() as transaction:
        for write in writes:
            transaction.put(*write)

    assert opened(tmp_path).get(made.name) == made
    assert opened(tmp_path).get(made.name) == made


def test_a_used_volume_is_not_removed(store: Store) -> None:
    store.create("data")

    with pytest.raises(Conflict, match=r"remove data: volume is in use - \[abc, def\]"):
        store.remove("data", ["abc", "def"], force=True)

    assert store.has("data")


def test_removal_takes_directory_and_record(store: Store, tmp_path: Path) -> None:
    made, _ = store.create("data")
    Path(made.mountpoint, "file").write_text("x")

    assert store.remove("data")

    assert os.listdir(tmp_path / "volumes") == []
    assert not opened(tmp_path).has("data")
    with pytest.raises(NotFound, match="get data: no such volume"):
        store.get("data")


def test_an_unknown_volume_is_removed_by_force_only(store: Store) -> None:
    with pytest.raises(NotFound, match="get nosuch: no such volume"):
        store.remove("nosuch")

    assert store.remove("nosuch", force=True) is None


def test_a_tree_deeper_than_pythons_stack_is_removed(store: Store, tmp_path: Path) -> None:
    made, _ = store.create("deep")
    fd = os.open(made.mountpoint, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        following = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = following
    os.close(fd)

    store.remove("deep")

    assert os.listdir(tmp_path / "volumes") == []


def test_removal_does_not_follow_links(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").touch()
    made, _ = store.create("data")
    Path(made.mountpoint, "link").symlink_to(outside)

    store.remove("data")

    assert (outside / "canary").exists()


def test_a_directory_without_a_record_is_a_volume_and_an_interrupted_removal_is_finished(tmp_path: Path) -> None:
    (tmp_path / "volumes" / "copied" / "_data").mkdir(parents=True)
    (tmp_path / "volumes" / ".removed-1" / "_data" / "x").mkdir(parents=True)
    (tmp_path / "volumes" / "somebodys").mkdir()
    (tmp_path / "volumes" / "somebodys" / "file").touch()

    store = opened(tmp_path)

    assert [volume.name for volume in store.list()] == ["copied"]
    assert sorted(os.listdir(tmp_path / "volumes")) == ["copied", "somebodys"]


CRASHES = """
import os, sys
from holdfast import metadata, volumes
root, limit = sys.argv[1], 0

def volume_dies(step):  # at the step of that number that changes a directory, or never
    left = step
    def hook(event, arguments):
        nonlocal left
        if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "open"):
            left -= 1
            if left == 0:
                os._exit(1)
    store = volumes.Store(root + "/volumes", metadata.Store(root + "/metadata.db"))
    sys.addaudithook(hook)
    writes = []
    made, _ = store.create(writes=writes)
    os.close(os.open(made.mountpoint + "/file", os.O_CREAT))
    store.remove(made.name)
    os._exit(0)

while True:
    limit += 1
    child = os.fork() or volume_dies(limit)
    died = os.waitpid(child, 0)[1]
    store = volumes.Store(root + "/volumes", metadata.Store(root + "/metadata.db"))
    assert store.list() == [] and os.listdir(root + "/volumes") == [], (limit, os.listdir(root + "/volumes"))
    if not died:
        break
print(limit)
"""


def test_a_crash_at_any_step_leaves_no_part_of_a_volume(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", CRASHES, tmp_path], capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stderr
    assert int(told.stdout) > 10


def test_a_damaged_record_does_not_stop_the_start(tmp_path: Path) -> None:
    opened(tmp_path).create("good")
    with metadata.Store(tmp_path / "metadata.db").transaction() as transaction:
        transaction.put("volumes", "bad", b"{")

    assert [volume.name for volume in opened(tmp_path).list()] == ["good"]


def test_size_counts_hard_links_once(store: Store) -> None:
    made, _ = store.create("data")
    file = Path(made.mountpoint, "file")
    file.write_bytes(bytes(1000))
    Path(made.mountpoint, "sub").mkdir()
    os.link(file, Path(made.mountpoint, "sub", "again"))

    assert store.size_bytes("data") == 1000


def copy_up(store: Store, name: str, root: Path, path: str) -> Any:
    fd = os.open(root, os.O_RDONLY)
    try:
        return store.populate(name, fd, path)
    finally:
        os.close(fd)


def test_copy_up_brings_content_modes_links_and_times(store: Store, tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "srv" / "sub").mkdir(parents=True)
    (image / "srv" / "file").write_text("hello")
    (image / "srv" / "file").chmod(0o640)
    os.utime(image / "srv" / "file", (1, 2))
    (image / "srv" / "link").symlink_to("/etc/passwd")
    os.link(image / "srv" / "file", image / "srv" / "sub" / "hard")
    os.mkfifo(image / "srv" / "pipe")
    (image / "srv").chmod(0o1777)
    made, _ = store.create("data")

    assert copy_up(store, "data", image, "/srv")

    target = Path(made.mountpoint)
    assert (target / "file").read_text() == "hello"
    assert (target / "file").stat().st_mode & 0o777 == 0o640
    assert (target / "file").stat().st_mtime == 2
    assert (target / "file").samefile(target / "sub" / "hard")
    assert os.readlink(target / "link") == "/etc/passwd"
    assert (target / "pipe").is_fifo()
    assert target.stat().st_mode & 0o7777 == 0o1777


def test_copy_up_leaves_a_volume_with_content_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "image" / "srv").mkdir(parents=True)
    (tmp_path / "image" / "srv" / "new").touch()
    made, _ = store.create("data")
    Path(made.mountpoint, "old").touch()

    assert not copy_up(store, "data", tmp_path / "image", "/srv")
    assert os.listdir(made.mountpoint) == ["old"]


@pytest.mark.parametrize("target", ["/../../outside", "../../../../outside", "{outside}"])
def test_cve_2022_23648_a_linked_or_climbing_path_stays_in_the_image(store: Store, tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    image = tmp_path / "image"
    image.mkdir()
    (image / "srv").symlink_to(target.format(outside=outside))
    made, _ = store.create("data")

    assert not copy_up(store, "data", image, "/srv")
    assert not copy_up(store, "data", image, "/../outside")
    assert os.listdir(made.mountpoint) == []
