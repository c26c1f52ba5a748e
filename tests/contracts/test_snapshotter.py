# SPDX-License-Identifier: Apache-2.0
"""What every snapshot driver promises; run as root, since layers carry owners, devices and trusted xattrs.

Nothing is mounted: the tests look through `layers`, merged as the kernel would.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from holdfast import snapshots
from holdfast.errors import AlreadyExists, Corrupt, HoldfastError, InvalidArgument, NotFound
from holdfast.oci import digest
from holdfast.snapshots import Driver, factory
from holdfast.snapshots.tar import Entry, Kind, Writer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners, devices, trusted xattrs")

A, B = digest.of(b"a"), digest.of(b"b")


@pytest.fixture(params=factory.drivers())
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return snapshots.open_driver(request.param, str(tmp_path))


def tar_of(*entries: Entry | tuple[str, bytes]) -> BytesIO:
    buffer = BytesIO()
    writer = Writer(buffer)
    for item in entries:
        if isinstance(item, Entry):
            writer.add(item)
        else:
            writer.add(Entry(item[0].encode(), size=len(item[1]), mtime_nanos=10**18), item[1])
    writer.close()
    buffer.seek(0)
    return buffer


def layer(driver: Driver, name: str, parent: str | None, *entries: Entry | tuple[str, bytes]) -> None:
    driver.prepare("unpacking", parent)
    driver.apply("unpacking", tar_of(*entries))
    driver.commit(name, "unpacking")


def tree(layers: Iterable[str]) -> dict[str, str]:
    """Path to content (or kind) of the layers merged as overlayfs does, the top one first."""
    merged: dict[str, str] = {}
    for directory in reversed(list(layers)):
        for base, names, files in os.walk(directory):
            prefix = os.path.relpath(base, directory).removeprefix(".")
            if b"y" in [os.getxattr(base, x) for x in os.listxattr(base) if x == "trusted.overlay.opaque"]:
                merged = {k: v for k, v in merged.items() if not k.startswith(f"{prefix}/".lstrip("/"))}
            for name in names + files:
                path, own = os.path.join(base, name), f"{prefix}/{name}".lstrip("/")
                info = os.lstat(path)
                if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                    merged = {k: v for k, v in merged.items() if k != own and not k.startswith(own + "/")}
                elif stat.S_ISREG(info.st_mode):
                    merged[own] = Path(path).read_text()
                else:
                    merged[own] = {stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}.get(stat.S_IFMT(info.st_mode), "node")
    return merged


def test_a_new_snapshot_is_empty_and_writable(driver: Driver) -> None:
    mounts = driver.prepare("key", None)

    assert len(mounts) == 1
    assert mounts[0].target == "/"
    assert "ro" not in mounts[0].options
    assert tree(driver.layers("key")) == {}
    assert driver.mounts("key") == mounts


def test_a_layer_is_unpacked_and_measured(driver: Driver) -> None:
    driver.prepare("key", None)
    stream = tar_of(("a", b"one"), ("b/c", b"four"))

    applied = driver.apply("key", stream)

    assert applied.diff_id == digest.of(stream.getvalue())
    assert applied.size_bytes == 7
    assert tree(driver.layers("key")) == {"a": "one", "b": "dir", "b/c": "four"}


def test_a_committed_snapshot_has_its_name_only(driver: Driver) -> None:
    layer(driver, A, None, ("a", b"one"))

    assert driver.exists(A)
    assert not driver.exists("unpacking")
    assert list(driver.iter_names()) == [A]
    assert list(driver.iter_keys()) == []
    assert driver.usage(A).size_bytes == 3
    assert driver.parent(A) is None


def test_a_child_shows_its_parents_and_hides_what_it_deletes(driver: Driver) -> None:
    layer(driver, A, None, ("keep", b"k"), ("gone", b"g"), ("dir/old", b"o"), ("sub/old", b"o"))
    layer(
        driver, B, A, ("new", b"n"), (".wh.gone", b""), ("dir/.wh..wh..opq", b""), ("dir/new", b"n"), ("sub/new", b"n")
    )

    driver.prepare("key", B)

    assert tree(driver.layers("key")) == {
        "keep": "k",
        "new": "n",
        "dir": "dir",
        "dir/new": "n",
        "sub": "dir",
        "sub/old": "o",
        "sub/new": "n",
    }
    assert driver.parent("key") == B
    assert driver.parent(B) == A


def test_opaque_after_new_files_spares_them(driver: Driver) -> None:
    layer(driver, A, None, ("dir/old", b"o"))
    layer(driver, B, A, ("dir/new", b"n"), ("dir/.wh..wh..opq", b""))

    assert tree(driver.layers(B)) == {"dir": "dir", "dir/new": "n"}


def test_a_whiteout_hides_lower_content_only(driver: Driver) -> None:
    layer(driver, A, None, ("x/old", b"o"), ("y", b"old"))
    layer(driver, B, A, ("x/new", b"n"), (".wh.x", b""), ("y", b"new"), (".wh.y", b""))

    assert tree(driver.layers(B)) == {"x": "dir", "x/new": "n", "y": "new"}


def test_a_directory_after_its_whiteout_is_empty_below(driver: Driver) -> None:
    layer(driver, A, None, ("x/old", b"o"))
    layer(driver, B, A, (".wh.x", b""), Entry(b"x", Kind.DIRECTORY, mode=0o755), ("x/new", b"n"))

    assert tree(driver.layers(B)) == {"x": "dir", "x/new": "n"}


def test_kinds_replace_each_other(driver: Driver) -> None:
    layer(driver, A, None, ("file", b"f"), ("dir/x", b"x"), Entry(b"link", Kind.SYMLINK, link=b"file"))
    layer(
        driver,
        B,
        A,
        Entry(b"file", Kind.DIRECTORY, mode=0o755),
        ("dir", b"now a file"),
        Entry(b"link", Kind.DIRECTORY, mode=0o755),
        ("link/y", b"y"),
    )

    found = tree(driver.layers(B))

    assert {k: found[k] for k in ("file", "dir", "link", "link/y")} == {
        "file": "dir",
        "dir": "now a file",
        "link": "dir",
        "link/y": "y",
    }


def test_an_implied_directory_keeps_the_lower_ones_attributes(driver: Driver) -> None:
    layer(driver, A, None, Entry(b"home", Kind.DIRECTORY, mode=0o711, uid=5, gid=6))
    layer(driver, B, A, ("home/x", b"x"))

    info = os.stat(f"{driver.layers(B)[0]}/home")

    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o711, 5, 6)


def test_the_roots_mode_is_inherited(driver: Driver) -> None:
    layer(driver, A, None, Entry(b"./", Kind.DIRECTORY, mode=0o711))
    driver.prepare("key", A)

    assert stat.S_IMODE(os.stat(driver.layers("key")[0]).st_mode) == 0o711


def test_a_view_is_read_only(driver: Driver) -> None:
    layer(driver, A, None, ("a", b"one"))
    layer(driver, B, A, ("b", b"two"))

    for parent in (A, B):
        mounts = driver.view(f"view-{parent[-5:]}", parent)

        assert "ro" in mounts[0].options
        assert mounts == driver.mounts(f"view-{parent[-5:]}")
    assert tree(driver.layers(f"view-{B[-5:]}")) == {"a": "one", "b": "two"}
    with pytest.raises(InvalidArgument):
        driver.commit("x-name", f"view-{A[-5:]}")
    with pytest.raises(InvalidArgument):
        driver.apply(f"view-{A[-5:]}", tar_of())


def test_names_that_are_taken_or_unknown_are_refused(driver: Driver) -> None:
    layer(driver, A, None, ("a", b"one"))
    driver.prepare("key", A)

    with pytest.raises(AlreadyExists):
        driver.prepare("key", A)
    with pytest.raises(AlreadyExists):
        driver.commit(A, "key")
    with pytest.raises(NotFound):
        driver.prepare("other", B)
    with pytest.raises(NotFound):
        driver.prepare("other", "key")
    for work in (driver.mounts, driver.remove, driver.usage, driver.layers, driver.parent):
        with pytest.raises(NotFound):
            work("nothing")
    assert sorted([*driver.iter_names(), *driver.iter_keys()]) == ["key", A]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "sha256:../x", "-x", "x\0y", "l" * 300])
def test_hostile_names_are_refused(driver: Driver, name: str) -> None:
    with pytest.raises(InvalidArgument):
        driver.prepare(name, None)


def test_removal_takes_everything_and_nothing_else(driver: Driver, tmp_path: Path) -> None:
    layer(driver, A, None, ("a/b/c", b"one"))
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    driver.prepare("key", A)

    driver.remove("key")

    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def test_a_tree_deeper_than_any_path_is_removed(driver: Driver) -> None:
    driver.prepare("key", None)
    fd = os.open(driver.layers("key")[0], os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=fd)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)

    driver.remove("key")

    assert not driver.exists("key")


def test_purge_removes_what_nobody_wants(driver: Driver) -> None:
    layer(driver, A, None, ("a", b"one"))
    driver.prepare("wanted", A)
    driver.prepare("unwanted", A)
    root = os.path.dirname(os.path.dirname(driver.layers("wanted")[0]))
    os.makedirs(f"{root}/.gone-x-1/d")
    os.makedirs(f"{root}/half-made")

    driver.purge(lambda key: key == "wanted")

    assert list(driver.iter_keys()) == ["wanted"]
    assert list(driver.iter_names()) == [A]
    assert not os.path.exists(f"{root}/.gone-x-1")
    assert not os.path.exists(f"{root}/half-made")
    assert tree(driver.layers("wanted")) == {"a": "one"}


def test_a_commit_interrupted_before_its_rename_leaves_no_name(driver: Driver, tmp_path: Path) -> None:
    layer(driver, A, None, ("a", b"one"))
    root = tmp_path / driver.name
    os.rename(f"{root}/{digest.encoded(A)}", f"{root}/key")

    driver.purge(lambda _: False)

    assert list(driver.iter_names()) == []
    assert not driver.exists(A)
    layer(driver, A, None, ("a", b"two"))
    assert tree(driver.layers(A)) == {"a": "two"}


def test_many_layers_stack(driver: Driver) -> None:
    parent = None
    for number in range(20):
        name = digest.of(str(number).encode())
        layer(driver, name, parent, (f"f{number}", b"x"))
        parent = name

    driver.prepare("key", parent)

    assert len(tree(driver.layers("key"))) == 20
    assert driver.usage(digest.of(b"19")).size_bytes == 1


SMALL_FILES = {"overlay2": ("link", "lower"), "erofs": ("below",), "vfs": ("record",)}
DIRECTORIES = {"overlay2": ("diff", "work"), "erofs": ("diff", "work"), "vfs": ("fs",)}
OF_WRITER = {"overlay2": "diff", "erofs": "diff", "vfs": "fs"}


def damaged(driver: Driver, root: Path) -> Iterator[tuple[str, str]]:
    """Makes snapshots on B, each damaged in another way, as a later run of the driver finds them; key and part."""
    for part in SMALL_FILES[driver.name]:
        for how in ("empty", "half", "garbage", "gone"):
            key = f"{part}-{how}"
            driver.prepare(key, B)
            path = root / driver.name / key / part
            data = path.read_bytes()
            if how == "gone":
                path.unlink()
            else:
                path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "garbage": b"\xff\0x" * 30}[how])
            yield key, part
    for part in DIRECTORIES[driver.name]:
        driver.prepare(f"{part}-gone", B)
        shutil.rmtree(root / driver.name / f"{part}-gone" / part)
        yield f"{part}-gone", part
    driver.prepare("all-gone", B)
    shutil.rmtree(root / driver.name / "all-gone")
    yield "all-gone", OF_WRITER[driver.name]


@pytest.fixture
def after_a_power_loss(driver: Driver, tmp_path: Path) -> tuple[Driver, list[tuple[str, str]]]:
    layer(driver, A, None, ("a", b"one"))
    layer(driver, B, A, ("b", b"two"))
    found = list(damaged(driver, tmp_path))
    return snapshots.open_driver(driver.name, str(tmp_path)), found


def error_of(work: Callable[[str], object], key: str) -> HoldfastError | None:
    try:
        work(key)
    except HoldfastError as error:
        return error
    return None


Loss = tuple[Driver, list[tuple[str, str]]]


def test_damaged_snapshots_are_told_and_hold_up_nothing_else(after_a_power_loss: Loss) -> None:
    driver, found = after_a_power_loss

    for key, part in found:
        for work in (driver.mounts, driver.layers, driver.parent, driver.usage):
            told = error_of(work, key)
            if isinstance(told, Corrupt):
                assert key in told.message
                assert "remove it and create it again" in told.message
            else:
                assert told is None or key == "all-gone"
        if part == OF_WRITER[driver.name] and key != "all-gone":
            for work in (driver.mounts, driver.layers):
                with pytest.raises(Corrupt):
                    work(key)
    assert {A, B} == set(driver.iter_names())
    assert set(driver.iter_keys()) <= {key for key, _ in found}
    layer(driver, digest.of(b"c"), B, ("c", b"three"))
    driver.prepare("sound", B)
    assert tree(driver.layers("sound")) == {"a": "one", "b": "two"}
    for key, _ in found[:-1]:
        driver.remove(key)
        assert not driver.exists(key)


def test_a_damaged_snapshot_that_was_never_used_is_made_again(after_a_power_loss: Loss) -> None:
    driver, found = after_a_power_loss

    for key, _ in found:
        assert driver.mend(key, B, is_blank=True)
        assert not driver.mend(key, B, is_blank=True)

    driver.prepare("sound", B)
    for key, _ in found:
        assert tree(driver.layers(key)) == {"a": "one", "b": "two"}
        assert str(driver.mounts(key)) == str(driver.mounts("sound")).replace("sound", key)
        assert driver.parent(key) == B


def test_a_damaged_snapshot_keeps_what_was_written(after_a_power_loss: Loss, tmp_path: Path) -> None:
    driver, found = after_a_power_loss
    own = [(key, tmp_path / driver.name / key / OF_WRITER[driver.name]) for key, _ in found]
    kept = [key for key, files in own if files.is_dir()]
    for key, files in own:
        if key in kept:
            (files / "mine").write_text("m")

    driver.purge(lambda _: True)
    for key, _ in found:
        if key in kept:
            assert driver.mend(key, B, is_blank=False)
        else:
            for work in (lambda key=key: driver.mend(key, B, is_blank=False), lambda key=key: driver.layers(key)):
                with pytest.raises(Corrupt):
                    work()
            driver.remove(key)

    assert len(kept) >= len(SMALL_FILES[driver.name])
    for key in kept:
        assert tree(driver.layers(key)) == {"a": "one", "b": "two", "mine": "m"}
        assert "ro" not in driver.mounts(key)[0].options


def test_a_snapshot_without_its_parent_is_left_as_it_is(driver: Driver) -> None:
    layer(driver, A, None, ("a", b"one"))
    driver.prepare("key", A)

    with pytest.raises(NotFound):
        driver.mend("key", B, is_blank=True)

    assert tree(driver.layers("key")) == {"a": "one"}
