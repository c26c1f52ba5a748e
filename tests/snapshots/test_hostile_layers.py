# SPDX-License-Identifier: Apache-2.0
"""Archives made to write, link, delete or read outside of their root; the names are those of security.md §2.2.

Each case may end in an error or not, but a canary beside the root stays as it was, and nothing new appears there.
"""

import contextlib
import os
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import Exhausted, HoldfastError, InvalidArgument, Unsupported
from holdfast.snapshots import apply, removal, whiteouts
from holdfast.snapshots.tar import Entry, Kind, Limits
from holdfast.snapshots.tar.writer import encode

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners, devices, trusted xattrs")

DIRECTORY, LINK, HARD, FILE = Kind.DIRECTORY, Kind.SYMLINK, Kind.HARD_LINK, Kind.FILE


def member(name: str | bytes, kind: bytes = FILE, content: bytes = b"", link: str = "", **more: object) -> bytes:
    raw = name if isinstance(name, bytes) else name.encode()
    mode = 0o755 if kind == DIRECTORY else 0o644
    entry = Entry(raw, kind, mode=mode, size=len(content), link=link.encode())
    for key, value in more.items():
        setattr(entry, key, value)
    return encode(entry) + content + bytes(-len(content) % 512)


def archive(*members: bytes) -> BytesIO:
    return BytesIO(b"".join(members) + bytes(1024))


class Site:
    """A root to unpack into, beside a canary that must not change."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"
        self.canary = base / "canary"
        self.root.mkdir()
        self.canary.mkdir()
        (self.canary / "secret").write_text("untouched")
        (self.canary / "directory").mkdir()
        self.before = self.look()

    def look(self) -> list[tuple[str, int, int, int, float]]:
        found: list[tuple[str, int, int, int, float]] = []
        for path in [self.base, *sorted(self.base.rglob("*"))]:
            if self.root in path.parents or path in (self.root, self.base):
                continue
            info = path.lstat()
            found.append((str(path), info.st_mode, info.st_nlink, info.st_size, info.st_mtime_ns))
        return found

    def unpack(self, *members: bytes, style: whiteouts.Style | None = None, limits: Limits | None = None) -> None:
        try:
            apply.unpack(str(self.root), archive(*members), style or whiteouts.Overlay(), limits=limits)
        finally:
            assert self.look() == self.before
            assert (self.canary / "secret").read_text() == "untouched"

    def wreck(self, *members: bytes, style: whiteouts.Style | None = None) -> str:
        """Unpacks what must be refused; returns the message."""
        with pytest.raises(HoldfastError) as caught:
            self.unpack(*members, style=style)
        return caught.value.message


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


STYLES: list[Callable[[], whiteouts.Style]] = [whiteouts.Overlay, whiteouts.Direct]


def test_dotdot_is_refused(site: Site) -> None:
    assert "out of the root" in site.wreck(member("../canary/new", content=b"x"))
    assert "out of the root" in site.wreck(member("a/../../canary/new", content=b"x"))


def test_dotdot_within_the_root_is_just_a_path(site: Site) -> None:
    site.unpack(member("a/../b", content=b"x"))

    assert (site.root / "b").read_text() == "x"


def test_abs_lands_inside(site: Site) -> None:
    site.unpack(member(f"{site.canary}/secret", content=b"evil"))

    assert Path(f"{site.root}{site.canary}/secret").read_text() == "evil"


@pytest.mark.parametrize("target", ["/", "..", "../canary", "CANARY", "/../../.."])
def test_symparent_stays_inside(site: Site, target: str) -> None:
    target = target.replace("CANARY", str(site.canary))
    try:
        site.unpack(member("link", LINK, link=target), member("link/secret", content=b"evil"))
    except InvalidArgument:
        return

    assert (site.root / "secret").read_text() == "evil"


def test_symrel_chain_stays_inside(site: Site) -> None:
    site.unpack(
        member("d/", DIRECTORY),
        member("d/up", LINK, link=".."),
        member("d/upup", LINK, link="up/.."),
        member("d/upup/canary/secret", content=b"evil"),
    )

    assert (site.root / "canary/secret").read_text() == "evil"


def test_symcross_a_later_entry_through_a_link_to_the_canary(site: Site) -> None:
    site.wreck(
        member("a", LINK, link="b"), member("b", LINK, link=str(site.canary)), member("a/secret", content=b"evil")
    )


def test_symover_a_file_over_a_link_replaces_the_link(site: Site) -> None:
    site.unpack(member("x", LINK, link=f"{site.canary}/secret"), member("x", content=b"evil"))

    assert (site.root / "x").read_text() == "evil"
    assert not (site.root / "x").is_symlink()


def test_a_directory_over_a_link_replaces_the_link(site: Site) -> None:
    site.unpack(member("x", LINK, link=str(site.canary)), member("x", DIRECTORY), member("x/new", content=b"n"))

    assert (site.root / "x/new").read_text() == "n"


def test_a_cached_directory_is_forgotten_when_a_link_takes_its_place(site: Site) -> None:
    site.wreck(
        member("d/", DIRECTORY),
        member("d/a", content=b"1"),
        member("d", LINK, link=str(site.canary)),
        member("d/secret", content=b"evil"),
    )


@pytest.mark.parametrize("target", ["../canary/secret", "../../canary/secret"])
def test_hardout_is_refused(site: Site, target: str) -> None:
    site.wreck(member("x", HARD, link=target))


def test_hardabs_means_the_root(site: Site) -> None:
    site.wreck(member("x", HARD, link=f"{site.canary}/secret"))
    site.unpack(member("y", content=b"y"), member("x", HARD, link="/y"))

    assert (site.root / "x").stat().st_nlink == 2


def test_hardsym_links_the_link_and_not_its_target(site: Site) -> None:
    site.unpack(member("link", LINK, link=f"{site.canary}/secret"), member("x", HARD, link="link"))

    assert (site.root / "x").is_symlink()


def test_hard_link_through_a_linked_directory_stays_inside(site: Site) -> None:
    site.wreck(member("d", LINK, link=str(site.canary)), member("x", HARD, link="d/secret"))


def test_hard_link_to_a_directory_or_the_root_is_refused(site: Site) -> None:
    site.wreck(member("d", DIRECTORY), member("x", HARD, link="d"))
    site.wreck(member("x", HARD, link="."))


def test_hard_link_to_itself_keeps_the_file(site: Site) -> None:
    site.unpack(member("x", content=b"x"), member("x", HARD, link="./x"))

    assert (site.root / "x").read_text() == "x"


def test_rootfile_and_rootlink_are_refused(site: Site) -> None:
    for kind in (FILE, LINK, HARD, Kind.FIFO):
        assert "root is not a directory" in site.wreck(member("./", kind, link=str(site.canary)))
    assert site.root.is_dir()


@pytest.mark.parametrize("style", STYLES)
def test_whout_and_whcross_delete_nothing_outside(site: Site, style: Callable[[], whiteouts.Style]) -> None:
    site.wreck(member("../canary/.wh.secret"), style=style())
    site.wreck(member("link", LINK, link=str(site.canary)), member("link/.wh.secret"), style=style())
    (site.root / "link").unlink(missing_ok=True)
    site.unpack(member("link", LINK, link="/"), member("link/.wh.canary"), style=style())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh..."])
def test_whdotdot_and_whdd2_are_refused(site: Site, name: str, style: Callable[[], whiteouts.Style]) -> None:
    assert "impossible whiteout" in site.wreck(member("d", DIRECTORY), member(name), style=style())


@pytest.mark.parametrize("style", STYLES)
def test_opqout_clears_nothing_outside(site: Site, style: Callable[[], whiteouts.Style]) -> None:
    site.wreck(member("link", LINK, link=str(site.canary)), member("link/.wh..wh..opq"), style=style())
    (site.root / "link").unlink(missing_ok=True)
    site.unpack(member("link", LINK, link="/.."), member("link/.wh..wh..opq"), style=style())


def test_whiteout_of_a_link_removes_the_link(site: Site) -> None:
    (site.root / "x").symlink_to(site.canary)

    site.unpack(member(".wh.x"), style=whiteouts.Direct())

    assert not (site.root / "x").is_symlink()


def test_aufs_marks_are_ignored(site: Site) -> None:
    site.unpack(member(".wh..wh.plnk", DIRECTORY), member(".wh..wh.aufs"))

    assert list(site.root.iterdir()) == []


def test_fakewh_a_disguised_whiteout_is_refused(site: Site) -> None:
    assert "disguised whiteout" in site.wreck(member("etc", Kind.CHARACTER))


def test_ovlxattr_is_dropped_and_others_are_kept(site: Site) -> None:
    xattrs = {"trusted.overlay.redirect": b"/etc", "user.overlay.opaque": b"y", "user.fine": b"1"}

    site.unpack(member("d", DIRECTORY, xattrs=xattrs), member("f", xattrs=xattrs))

    assert os.listxattr(site.root / "f") == ["user.fine"]
    assert os.listxattr(site.root / "d") == ["user.fine"]


def test_dev_setuid_and_file_caps_are_kept(site: Site) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    site.unpack(
        member("disk", Kind.BLOCK, major=254, minor=0, mode=0o660),
        member("su", content=b"#!", mode=0o4755, uid=7, xattrs={"security.capability": capability}),
        member("pipe", Kind.FIFO),
    )

    assert os.lstat(site.root / "disk").st_rdev == os.makedev(254, 0)
    assert stat.S_IMODE(os.lstat(site.root / "su").st_mode) == 0o4755
    assert os.lstat(site.root / "su").st_uid == 7
    assert os.getxattr(site.root / "su", "security.capability") == capability
    assert stat.S_ISFIFO(os.lstat(site.root / "pipe").st_mode)


def test_devices_with_impossible_numbers_are_refused(site: Site) -> None:
    site.wreck(member("x", Kind.BLOCK, major=1 << 13))
    site.wreck(member("x", Kind.CHARACTER, major=1, minor=1 << 20))


def test_long_names_are_refused_not_cut(site: Site) -> None:
    assert "name" in site.wreck(member("n" * 256)).lower()
    site.wreck(member("/".join(["d" * 200] * 30)))
    site.unpack(member("/".join(["d" * 200] * 10) + "/f", content=b"deep"))


def test_nonutf8_names_come_out_as_they_are(site: Site) -> None:
    site.unpack(member(b"\xff\xfe", content=b"x"), member(b"l\xe9", LINK, link="t"))

    assert sorted(os.listdir(os.fsencode(site.root))) == [b"l\xe9", b"\xff\xfe"]


def test_duplicates_the_last_one_wins(site: Site) -> None:
    site.unpack(
        member("x", content=b"1", mode=0o600),
        member("x", content=b"two", mode=0o640),
        member("d/f", content=b"1"),
        member("d", content=b"now a file"),
    )

    assert (site.root / "x").read_text() == "two"
    assert (site.root / "d").read_text() == "now a file"


def test_chmodsym_a_mode_never_passes_through_a_link(site: Site) -> None:
    (site.canary / "secret").chmod(0o600)
    site.before = site.look()

    site.unpack(member("x", LINK, link=f"{site.canary}/secret", mode=0o4777, uid=3))


def test_times_are_those_of_the_archive_even_for_directories(site: Site) -> None:
    nanos = 1_600_000_000_123_456_789
    site.unpack(member("d", DIRECTORY, mtime_nanos=nanos), member("d/f", content=b"x", mtime_nanos=nanos + 1))

    assert (site.root / "d").stat().st_mtime_ns == nanos
    assert (site.root / "d/f").stat().st_mtime_ns == nanos + 1


def test_a_time_is_not_set_through_a_link_that_replaced_a_directory(site: Site) -> None:
    site.unpack(
        member("other", DIRECTORY, mtime_nanos=5 * 10**9),
        member("d", DIRECTORY, mtime_nanos=7 * 10**9),
        member("d", LINK, link="other"),
    )

    assert (site.root / "other").stat().st_mtime_ns == 5 * 10**9


def test_entry_count_and_size_bombs_are_stopped(site: Site) -> None:
    with pytest.raises(Exhausted, match="entries"):
        site.unpack(*[member(f"f{i}") for i in range(20)], limits=Limits(entries=10))
    with pytest.raises(Exhausted, match="bytes"):
        site.unpack(member("big", content=bytes(2000)), limits=Limits(total_bytes=1000))


def test_xattr_bomb_is_stopped(site: Site) -> None:
    xattrs = {f"user.{i}": bytes(1000) for i in range(20)}

    with pytest.raises(Exhausted, match="attributes"):
        site.unpack(member("x", xattrs=xattrs), limits=Limits(xattr_bytes=10_000))


def test_sparse_members_are_refused(site: Site) -> None:
    with pytest.raises(Unsupported, match="sparse"):
        site.unpack(member("x", b"S"))


def test_a_parent_that_is_a_file_is_refused(site: Site) -> None:
    site.wreck(member("x", content=b"1"), member("x/y", content=b"2"))


def test_a_layer_of_only_padding_is_empty(site: Site) -> None:
    site.unpack()

    assert list(site.root.iterdir()) == []


names = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", ".", "..", "../canary", "/", "a/..", ".wh.a", ".wh..wh..opq", "b/.wh.a"]
)
kinds = st.sampled_from([FILE, LINK, HARD, DIRECTORY, Kind.FIFO])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.lists(st.tuples(names, kinds, st.sampled_from(["a", "b", "..", "/", "../canary", "a/b"])), max_size=8),
    direct=st.booleans(),
)
def test_no_mixture_of_entries_reaches_the_canary(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]], direct: bool
) -> None:
    site = Site(tmp_path_factory.mktemp("mix"))
    style = whiteouts.Direct() if direct else whiteouts.Overlay()

    with contextlib.suppress(HoldfastError):
        site.unpack(*[member(n, k, b"x" if k == FILE else b"", link=t) for n, k, t in entries], style=style)

    fd = os.open(site.base, os.O_RDONLY)
    removal.empty(fd)
    os.close(fd)
