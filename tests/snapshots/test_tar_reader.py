# SPDX-License-Identifier: Apache-2.0
"""The tar reader against the standard library's writer, and against damage."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import Exhausted, HoldfastError, InvalidArgument, Unsupported
from holdfast.snapshots.tar import Entry, Kind, Limits, Reader, Writer
from holdfast.snapshots.tar.writer import encode


class Dripping:
    """A source that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._source = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, self._step))


def read_all(data: bytes, step: int = 1 << 20, limits: Limits | None = None) -> list[tuple[Entry, bytes]]:
    reader = Reader(Dripping(data, step), limits)
    return [(entry, b"".join(bytes(chunk) for chunk in reader.chunks())) for entry in reader]


def written(tar_format: int, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [1, 7, 512, 1000, 1 << 20])
def test_reads_what_tarfile_writes(tar_format: int, step: int) -> None:
    long_name = "d/" * 60 + "file"
    data = written(
        tar_format,
        (member("a", mode=0o4755, uid=1000, gid=7, mtime=1_600_000_000), b"hello"),
        (member(long_name), b"x" * 1000),
        (member("s", type=tarfile.SYMTYPE, linkname="a"), b""),
        (member("n", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
    )

    found = read_all(data, step)

    first = found[0][0]
    assert (first.name, first.mode, first.uid, first.gid) == (b"a", 0o4755, 1000, 7)
    assert first.mtime_nanos == 1_600_000_000 * 10**9
    assert found[0][1] == b"hello"
    assert (found[1][0].name, found[1][1]) == (long_name.encode(), b"x" * 1000)
    assert (found[2][0].kind, found[2][0].link) == (Kind.SYMLINK, b"a")
    assert (found[3][0].kind, found[3][0].major, found[3][0].minor) == (Kind.CHARACTER, 1, 3)


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_long_links_and_big_numbers(tar_format: int) -> None:
    target = "t" * 300
    data = written(
        tar_format,
        (member("l", type=tarfile.SYMTYPE, linkname=target, uid=3_000_000_000, mtime=-5), b""),
        (member("n" * 200 + "é"), b"1"),
    )

    (link, _), (name, _) = read_all(data)

    assert (link.link, link.uid, link.mtime_nanos) == (target.encode(), 3_000_000_000, -5 * 10**9)
    assert name.name == ("n" * 200 + "é").encode()


def test_pax_attributes_times_and_globals() -> None:
    info = member("f")
    info.pax_headers = {"SCHILY.xattr.user.k": "v", "mtime": "12.000000345", "comment": "ignored"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}) as archive:
        archive.addfile(info)

    ((entry, _),) = read_all(buffer.getvalue())

    assert entry.xattrs == {"user.k": b"v"}
    assert entry.mtime_nanos == 12 * 10**9 + 345
    assert entry.uid == 77


def test_content_that_is_not_read_is_skipped() -> None:
    data = written(tarfile.PAX_FORMAT, (member("a"), b"x" * 700_000), (member("b"), b"y"))
    reader = Reader(io.BytesIO(data))

    assert [entry.name for entry in reader] == [b"a", b"b"]


def test_trailing_bytes_are_drained() -> None:
    data = written(tarfile.USTAR_FORMAT, (member("a"), b"x"))
    source = io.BytesIO(data + b"trailing" * 1000)
    reader = Reader(source)
    list(reader)

    reader.drain()

    assert source.read() == b""


@pytest.mark.parametrize("cut", [1, 100, 511, 513, 600, 1023, 1500])
def test_truncated_archives_are_refused(cut: int) -> None:
    data = written(tarfile.USTAR_FORMAT, (member("a"), b"x" * 1000))

    with pytest.raises(InvalidArgument, match="truncated"):
        read_all(data[:cut])


@pytest.mark.parametrize(
    ("offset", "patch"),
    [
        (124, b"-0000000001\0"),
        (124, b"zzzzzzzzzzz\0"),
        (124, b"99999999999\0"),
        (124, b"\xff" * 12),
        (124, b"\x80" + b"\xff" * 11),
        (108, b"\xff" * 8),
        (136, b"\x80" + b"\xff" * 11),
        (156, b"Z"),
    ],
    ids=["negative", "letters", "not octal", "base-256 negative", "huge", "negative uid", "far time", "unknown kind"],
)
def test_impossible_headers_are_refused(offset: int, patch: bytes) -> None:
    header = bytearray(encode(Entry(b"a", size=0)))
    header[offset : offset + len(patch)] = patch
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    with pytest.raises(InvalidArgument):
        read_all(bytes(header) + bytes(1024))


def test_what_is_no_archive_is_refused_with_its_text() -> None:
    with pytest.raises(InvalidArgument, match=r"^archive/tar: invalid tar header: 'icesserv' is not an octal number$"):
        read_all(b"services" * 64)


def test_a_wrong_checksum_is_refused() -> None:
    header = bytearray(encode(Entry(b"a")))
    header[0] ^= 1

    with pytest.raises(InvalidArgument, match="checksum"):
        read_all(bytes(header) + bytes(1024))


@pytest.mark.parametrize(
    "body",
    [
        b"x path=a\n",
        b"5 a=b",
        b"99 path=a\n",
        b"3 =\n",
        b"10 path=abc",
        b"0 path=a\n",
        b"13 size=-500\n",
        b"12 mtime=1e5\n",
        b"13 size=x1234\n",
        b"30 size=99999999999999999999999\n",
        b"12 path=a\0bc\n",
        b"25 SCHILY.xattr.a\0b=12345\n"[:26],
    ],
)
def test_damaged_pax_headers_are_refused(body: bytes) -> None:
    data = encode(Entry(b"pax", b"x", size=len(body))) + body + bytes(-len(body) % 512)

    with pytest.raises(InvalidArgument):
        read_all(data + encode(Entry(b"a")) + bytes(1024))


def test_sparse_by_pax_is_refused() -> None:
    body = b"22 GNU.sparse.major=1\n"
    data = encode(Entry(b"pax", b"x", size=len(body))) + body + bytes(-len(body) % 512)

    with pytest.raises(Unsupported):
        read_all(data + encode(Entry(b"a")) + bytes(1024))


def test_an_extended_header_beyond_its_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        read_all(encode(Entry(b"pax", b"x", size=1 << 30)))


def test_an_archive_that_ends_after_an_extended_header_is_refused() -> None:
    body = b"10 path=a\n"[:10]
    with pytest.raises(InvalidArgument, match="ends after"):
        read_all(encode(Entry(b"pax", b"x", size=len(body))) + body + bytes(-len(body) % 512) + bytes(1024))


def test_limits_are_enforced() -> None:
    data = written(tarfile.USTAR_FORMAT, *[(member(f"f{i}"), b"x" * 100) for i in range(10)])

    with pytest.raises(Exhausted, match="entries"):
        read_all(data, limits=Limits(entries=9))
    with pytest.raises(Exhausted, match="bytes"):
        read_all(data, limits=Limits(total_bytes=999))
    reader = Reader(io.BytesIO(data))
    reader.next()
    with pytest.raises(Exhausted, match="member"):
        reader.read(99)


@given(st.binary(max_size=3000))
def test_garbage_never_escapes_the_taxonomy(data: bytes) -> None:
    with contextlib.suppress(HoldfastError):
        read_all(data)


@given(st.integers(0, 2047), st.binary(min_size=1, max_size=40), st.integers(1, 600))
def test_a_flipped_archive_never_escapes_the_taxonomy(offset: int, patch: bytes, step: int) -> None:
    data = bytearray(written(tarfile.PAX_FORMAT, (member("é" * 80, uid=2**33), b"x" * 100), (member("b"), b"")))
    data[offset : offset + len(patch)] = patch
    with contextlib.suppress(HoldfastError):
        read_all(bytes(data), step)


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name),
            st.binary(max_size=2000),
            st.integers(0, 2**32 - 1),
            st.integers(-(2**61), 2**61),
            st.dictionaries(st.sampled_from(["user.a", "user.b=c"[:6], "security.x"]), st.binary(max_size=50)),
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(members: list[tuple[bytes, bytes, int, int, dict[str, bytes]]]) -> None:
    buffer = io.BytesIO()
    writer = Writer(buffer)
    for name, content, uid, nanos, xattrs in members:
        writer.add(Entry(name, size=len(content), uid=uid, gid=uid, mtime_nanos=nanos, xattrs=xattrs), content)
    writer.close()

    found = read_all(buffer.getvalue())

    assert [(e.name, c, e.uid, e.gid, e.mtime_nanos, e.xattrs or {}) for e, c in found] == [
        (name, content, uid, uid, nanos, xattrs) for name, content, uid, nanos, xattrs in members
    ]


def test_the_writers_archives_are_readable_by_tarfile() -> None:
    buffer = io.BytesIO()
    writer = Writer(buffer)
    writer.add(Entry(b"d/" * 90 + b"f", size=3, uid=2**25, mtime_nanos=1_500_000_000), b"abc")
    writer.add(Entry(b"dir", Kind.DIRECTORY, mode=0o1777))
    writer.add(Entry(b"l", Kind.SYMLINK, link=b"t" * 150))
    writer.close()

    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        one, two, three = archive.getmembers()

        assert (one.name, one.uid, one.mtime) == ("d/" * 90 + "f", 2**25, 1.5)
        assert (two.isdir(), two.mode) == (True, 0o1777)
        assert three.linkname == "t" * 150
