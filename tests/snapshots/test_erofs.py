# SPDX-License-Identifier: Apache-2.0
"""Layers written as EROFS images: the kernel must show the very tree that unpacking into a directory gives."""

import os
import stat
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError
from holdfast.kernel import erofs as kernel
from holdfast.kernel import overlay
from holdfast.snapshots import apply, erofs, whiteouts
from holdfast.snapshots.tar import Entry, Kind
from holdfast.snapshots.tar.writer import encode

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, owners, devices, trusted xattrs")

DIRECTORY, LINK, HARD, FILE = Kind.DIRECTORY, Kind.SYMLINK, Kind.HARD_LINK, Kind.FILE
NOW = 1_600_000_000_123_456_789


def member(name: str | bytes, kind: bytes = FILE, content: bytes = b"", link: str = "", **more: object) -> bytes:
    raw = name if isinstance(name, bytes) else name.encode()
    mode = 0o755 if kind == DIRECTORY else 0o644
    entry = Entry(raw, kind, mode=mode, size=len(content), link=link.encode(), mtime_nanos=NOW)
    for key, value in more.items():
        setattr(entry, key, value)
    return encode(entry) + content + bytes(-len(content) % 512)


def archive(*members: bytes) -> BytesIO:
    return BytesIO(b"".join(members) + bytes(1024))


def look(root: str) -> dict[bytes, tuple[object, ...]]:
    """Everything that a program could find out about a tree, but times of directories and numbers of inodes."""
    found: dict[bytes, tuple[object, ...]] = {}
    names: dict[int, bytes] = {}
    top = os.fsencode(root)
    for base, directories, files in os.walk(top):
        directories.sort()
        for name in (b".", *directories, *sorted(files)):
            path = base + b"/" + name
            info = os.lstat(path)
            own = os.path.relpath(path, top)
            kind = stat.S_IFMT(info.st_mode)
            is_whiteout = whiteouts.is_overlay_whiteout(info)
            xattrs = {
                key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
            }
            content: object = None
            if stat.S_ISREG(kind):
                content = Path(os.fsdecode(path)).read_bytes()
            elif stat.S_ISLNK(kind):
                content = os.readlink(path)
            same = b"" if stat.S_ISDIR(kind) or is_whiteout else names.setdefault(info.st_ino, own)
            found[own] = (
                kind,
                None if is_whiteout else stat.S_IMODE(info.st_mode),
                (info.st_uid, info.st_gid, info.st_rdev),
                None if stat.S_ISDIR(kind) or is_whiteout else (info.st_size, info.st_nlink, info.st_mtime_ns),
                content,
                xattrs,
                same,
            )
    return found


class Both:
    """One archive, unpacked into a directory and written as an image."""

    def __init__(self, folder: Path, *members: bytes) -> None:
        self.directory = folder / "directory"
        self.directory.mkdir(exist_ok=True)
        self.image = folder / "image.erofs"
        self.errors: list[HoldfastError | None] = [None, None]
        self.results: list[object] = [None, None]
        try:
            self.results[0] = apply.unpack(str(self.directory), archive(*members), whiteouts.Overlay())
        except HoldfastError as error:
            self.errors[0] = error
        with open(self.image, "w+b") as file:
            try:
                layer = erofs.write_layer(file.fileno(), archive(*members), root_mode=0o755)
                self.results[1] = layer.applied
            except HoldfastError as error:
                self.errors[1] = error

    def compare(self) -> None:
        """Asserts that both say the same."""
        assert type(self.errors[0]) is type(self.errors[1]), self.errors
        if self.errors[0] is not None:
            return
        assert self.results[0] == self.results[1]
        fd = kernel.open_image(str(self.image))
        try:
            assert look(f"/proc/self/fd/{fd}") == look(str(self.directory))
        finally:
            os.close(fd)


CASES: dict[str, list[bytes]] = {
    "nothing": [],
    "sizes around a block": [
        member(f"f{size}", content=os.urandom(size))
        for size in (0, 1, 31, 4031, 4032, 4033, 4095, 4096, 4097, 8128, 8192, 8193, 70_000)
    ],
    "a large file": [member("big", content=os.urandom(3_000_001)), member("after", content=b"x")],
    "a directory of many names": [member(f"d/{'n' * (number % 200)}{number:05d}") for number in range(1500)],
    "many directories": [member(f"{number % 7}/{number % 60}/{number}/f", content=b"x") for number in range(400)],
    "deep": [member("/".join(["d"] * 200) + "/f", content=b"deep")],
    "owners and modes": [
        member("su", content=b"#!", mode=0o4755, uid=7, gid=4_000_000_000),
        member("t/", DIRECTORY, mode=0o1777, uid=5),
        member("disk", Kind.BLOCK, major=254, minor=70_000, mode=0o660),
        member("tty", Kind.CHARACTER, major=5, minor=1),
        member("pipe", Kind.FIFO, mode=0o600),
    ],
    "the root": [member("./", DIRECTORY, mode=0o711, uid=3, xattrs={"user.x": b"1"}), member("a")],
    "xattrs": [
        member("f", content=b"x" * 5000, xattrs={"user.a": b"1", "user.empty": b"", "trusted.t": b"\0\1"}),
        member("cap", content=b"x", xattrs={"security.capability": bytes.fromhex("01000002000400000000000000000000") + bytes(4)}),
        member("d/", DIRECTORY, xattrs={"user.long": b"v" * 3000}),
        member("big", content=b"y" * 100, xattrs={"trusted.big": b"v" * 3900}),
        member("overlay", xattrs={"trusted.overlay.redirect": b"/", "user.overlay.opaque": b"y", "user.fine": b"1"}),
        member("link", LINK, link="f", xattrs={"trusted.x": b"1"}),
    ],
    "links": [
        member("a", content=b"one"), member("b", HARD, link="a"), member("c/d", HARD, link="/b"),
        member("s", LINK, link="a"), member("s2", HARD, link="s"), member("long", LINK, link="x" * 3000),
        member("a", content=b"another"), member("p", Kind.FIFO), member("p2", HARD, link="p"),
    ],
    "whiteouts": [
        member(".wh.gone"), member("d/.wh.x"), member("d/.wh..wh..opq"), member("e/new", content=b"n"),
        member(".wh.e"), member(".wh.file"), member("file", content=b"back"), member(".wh.dir"),
        member("dir/", DIRECTORY), member("dir/x"), member("zz"), member(".wh..wh.aufs"),
    ],
    "kinds replace each other": [
        member("x", content=b"1"), member("x", DIRECTORY), member("x/y"), member("x", LINK, link="z"),
        member("x", content=b"2"), member("d/a/b"), member("d", content=b"file"), member("q/", DIRECTORY, mode=0o700),
        member("q/r"), member("q/", DIRECTORY, mode=0o750),
    ],
    "below a whiteout": [member(".wh.under"), member("under/y")],
    "through a link": [member("real/", DIRECTORY), member("l", LINK, link="real"), member("l/f", content=b"x")],
    "through an absolute link and up": [
        member("a/real/", DIRECTORY), member("b/l", LINK, link="/a/../a/real"), member("b/l/f", content=b"x"),
    ],
    "through a loop": [member("a", LINK, link="b"), member("b", LINK, link="a"), member("a/f")],
    "a loop takes the place of a directory": [member("a/b", DIRECTORY), member("a", LINK, link="a")],
    "through a dangling link": [member("a", LINK, link="nowhere"), member("a/f")],
    "below a file": [member("x", content=b"1"), member("x/y")],
    "names that are no text": [member(b"\xff\xfe", content=b"x"), member(b"l\xe9", LINK, link="t")],
    "out by text": [member("../x")],
    "a whiteout of nothing": [member(".wh.")],
    "a disguised whiteout": [member("etc", Kind.CHARACTER)],
    "a root that is none": [member("./", LINK, link="/")],
    "a link to a directory": [member("d", DIRECTORY), member("x", HARD, link="d")],
    "a link to nothing": [member("x", HARD, link="y")],
    "a link to what it replaces": [member("c/a", content=b"x"), member("c", HARD, link="c/a")],
    "a directory that goes with a link in it": [
        member("a", content=b"x"), member("c/a", HARD, link="a"), member("c/b/a", HARD, link="a"), member("c", content=b"y"),
    ],
    "a link that replaces a directory": [member("a", content=b"x"), member("c/a"), member("c", HARD, link="a")],
    "a link to itself": [member("x", content=b"x"), member("x", HARD, link="./x")],
    "a long name": [member("n" * 256)],
    "an impossible device": [member("x", Kind.BLOCK, major=1 << 13)],
    "truncated": [member("x", content=b"12345")[:515]],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_image_shows_what_a_directory_would(name: str, tmp_path: Path) -> None:
    Both(tmp_path, *CASES[name]).compare()


_PATHS = st.sampled_from(["a", "b", "a/b", "a/c", "a/b/c", "b/a", "./a/", "../a", "c", "c/a", "b/../c"])
_MEMBERS = st.one_of(
    st.builds(member, _PATHS, st.just(FILE), st.sampled_from([b"", b"x", b"y" * 5000])),
    st.builds(member, _PATHS, st.just(DIRECTORY)),
    st.builds(member, _PATHS, st.just(LINK), st.just(b""), st.sampled_from(["a", "../b", "/c", "b/c", ".", "/"])),
    st.builds(member, _PATHS, st.just(HARD), st.just(b""), st.sampled_from(["a", "b", "a/b", "/c", "c/a"])),
    st.builds(member, st.sampled_from([".wh.a", ".wh.b", "a/.wh.b", "a/.wh..wh..opq", "b/.wh.a", ".wh..wh..opq"])),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(_MEMBERS, max_size=9))
def test_any_archive_means_the_same_in_both_forms(
    tmp_path_factory: pytest.TempPathFactory, members: list[bytes]
) -> None:
    Both(tmp_path_factory.mktemp("both"), *members).compare()


@pytest.mark.parametrize("name", ["sizes around a block", "a directory of many names", "xattrs", "links", "whiteouts"])
def test_the_checker_of_erofs_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    both = Both(tmp_path, *CASES[name])

    done = subprocess.run(["fsck.erofs", both.image], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_image_that_was_not_finished_is_none(tmp_path: Path) -> None:
    both = Both(tmp_path, *CASES["truncated"])

    assert both.errors[1] is not None
    with pytest.raises(OSError):
        os.close(kernel.open_image(str(both.image)))


_SHORT = """
import io, os, resource, sys
from holdfast import snapshots
from holdfast.errors import Exhausted
from holdfast.oci import digest
driver = snapshots.open_driver("erofs", sys.argv[1])
tar = sys.stdin.buffer.read()
for size in (4096, 100_000, 1_000_000, 2_900_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    driver.prepare("unpack", None)
    try:
        driver.apply("unpack", io.BytesIO(tar))
    except Exhausted as error:
        assert "no space left" in error.message, error.message
    else:
        raise SystemExit(f"fits into {size}")
    assert driver.layers("unpack") == [driver.root + "/unpack/diff"]
    assert sorted(os.listdir(driver.root + "/unpack")) == ["below", "diff", "work"]
    driver.remove("unpack")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
driver.prepare("unpack", None)
driver.apply("unpack", io.BytesIO(tar))
driver.commit(digest.of(b"a"), "unpack")
print(len(os.listdir(driver.layers(digest.of(b"a"))[0])))
"""


def test_an_image_that_does_not_fit_leaves_nothing_and_stops_nothing(tmp_path: Path) -> None:
    tar = archive(*(member(f"f{number}", content=os.urandom(9000)) for number in range(330)))

    done = subprocess.run(
        [sys.executable, "-c", _SHORT, str(tmp_path)], input=tar.getvalue(), capture_output=True, check=False
    )

    assert (done.stdout, done.returncode) == (b"330\n", 0), done.stderr.decode()


def test_a_tmpfs_is_refused_with_the_reason(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; from holdfast import errors, snapshots\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', sys.argv[1]], check=True)\n"
        "try: snapshots.open_driver('erofs', sys.argv[1])\n"
        "except errors.Unsupported as error: print(error.message)"
    )

    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "storage driver erofs cannot be used" in done.stdout, done.stderr
    assert "tmpfs" in done.stdout


def test_five_hundred_layers_are_one_container(tmp_path: Path) -> None:
    images = [tmp_path / f"{number}.erofs" for number in range(500)]
    for number, image in enumerate(images):
        with open(image, "w+b") as file:
            erofs.write_layer(file.fileno(), archive(member(f"f{number}", content=b"x")), root_mode=0o755)
    (tmp_path / "diff").mkdir()
    (tmp_path / "work").mkdir()
    lowers = ":".join(str(image) for image in images)

    fd = overlay.new((f"lowerdir={lowers}", f"upperdir={tmp_path}/diff", f"workdir={tmp_path}/work"))
    try:
        assert len(os.listdir(f"/proc/self/fd/{fd}")) == 500
    finally:
        os.close(fd)
