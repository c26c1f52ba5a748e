# SPDX-License-Identifier: Apache-2.0
"""docker diff from layers: the cases of dockerd 28.5, and what the engine itself puts into a container."""

import os
import stat
from pathlib import Path

import pytest

from holdfast.snapshots.changes import ADDED, DELETED, MODIFIED, Trees, hidden, list_changes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts need root")


class Layers:
    def __init__(self, root: Path) -> None:
        self.lower, self.middle, self.upper = root / "lower", root / "middle", root / "upper"
        for each in (self.lower, self.middle, self.upper):
            each.mkdir()

    def changes(self, *, is_whole: bool = False) -> list[tuple[str, int]]:
        lowers = [str(self.lower)] if is_whole else [str(self.middle), str(self.lower)]
        found = Trees(str(self.upper), lowers, is_whole=is_whole)
        return [(change.path.decode(), change.kind) for change in list_changes(found)]


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def put(root: Path, path: str, text: str = "x") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def whiteout(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    os.mknod(root / path, stat.S_IFCHR, 0)


def test_nothing_is_nothing(layers: Layers) -> None:
    assert layers.changes() == []


def test_added_with_its_parent_directory(layers: Layers) -> None:
    put(layers.lower, "var/old")
    put(layers.upper, "var/new/file")

    assert layers.changes() == [("/var", MODIFIED), ("/var/new", ADDED), ("/var/new/file", ADDED)]


def test_changed_content_and_mode(layers: Layers) -> None:
    put(layers.lower, "a")
    put(layers.upper, "a", "longer")
    (layers.lower / "d").mkdir()
    (layers.upper / "d").mkdir(mode=0o700)

    assert layers.changes() == [("/a", MODIFIED), ("/d", MODIFIED)]


def test_a_copied_up_directory_with_another_time_is_no_change(layers: Layers) -> None:
    (layers.lower / "d").mkdir()
    (layers.upper / "d").mkdir()
    os.utime(layers.upper / "d", (1, 1))

    assert layers.changes() == []


def test_a_whiteout_deletes_what_is_below_only(layers: Layers) -> None:
    put(layers.lower, "gone")
    put(layers.lower, "hidden")
    whiteout(layers.middle, "hidden")
    whiteout(layers.upper, "gone")
    whiteout(layers.upper, "hidden")

    assert layers.changes() == [("/gone", DELETED)]


def test_an_opaque_directory_deletes_what_it_does_not_bring(layers: Layers) -> None:
    put(layers.lower, "d/a")
    put(layers.middle, "d/b")
    put(layers.upper, "d/c")
    os.setxattr(layers.upper / "d", "trusted.overlay.opaque", b"y")

    assert layers.changes() == [("/d", MODIFIED), ("/d/a", DELETED), ("/d/b", DELETED), ("/d/c", ADDED)]


def test_a_file_in_the_place_of_a_directory(layers: Layers) -> None:
    put(layers.lower, "d/a")
    put(layers.upper, "d")

    assert layers.changes() == [("/d", MODIFIED)]


def test_a_whole_copy_is_compared(layers: Layers) -> None:
    put(layers.lower, "gone")
    same = put(layers.lower, "same")
    info = same.stat()
    os.utime(put(layers.upper, "same"), ns=(info.st_mtime_ns, info.st_mtime_ns))
    put(layers.upper, "new")

    assert layers.changes(is_whole=True) == [("/gone", DELETED), ("/new", ADDED)]


def test_what_the_engine_mounts_on_is_hidden(layers: Layers) -> None:
    for path in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        put(layers.upper, path, "")
    for path in ("proc", "sys", "dev/pts"):
        (layers.upper / path).mkdir(parents=True)
    (layers.lower / "etc").mkdir()

    assert layers.changes() == []


def test_what_the_container_wrote_beside_it_is_not_hidden(layers: Layers) -> None:
    put(layers.upper, "etc/hosts", "")
    put(layers.upper, "etc/mine")
    (layers.lower / "etc").mkdir()

    assert layers.changes() == [("/etc", MODIFIED), ("/etc/mine", ADDED)]
    assert hidden(Trees(str(layers.upper), [str(layers.lower)], is_whole=False)) == {b"etc/hosts"}
