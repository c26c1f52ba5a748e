# SPDX-License-Identifier: Apache-2.0
"""Streams are recognised and undone in any slicing; damage, garbage and bombs end in an error of ours."""

import bz2
import contextlib
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from holdfast.content.compression import Limits, Reader
from holdfast.errors import Exhausted, HoldfastError, InvalidArgument

DATA = b"".join(b"%d," % number for number in range(100_000))
ENCODERS = {"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


class Dripping:
    def __init__(self, data: bytes, step: int) -> None:
        self._source = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, self._step))


def read_all(data: bytes, step: int = 1 << 20, size: int = 1 << 20, limits: Limits | None = None) -> tuple[str, bytes]:
    reader = Reader(Dripping(data, step), limits=limits)
    pieces: list[bytes] = []
    while piece := reader.read(size):
        pieces.append(piece)
    return reader.kind, b"".join(pieces)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(("step", "size"), [(1 << 20, 1 << 20), (1000, 77_777), (333, 1 << 20)])
def test_every_encoding_is_undone(kind: str, step: int, size: int) -> None:
    assert read_all(ENCODERS[kind](DATA), step, size) == (kind, DATA)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_several_members_are_one_stream(kind: str) -> None:
    encode = ENCODERS[kind]

    assert read_all(encode(b"one") + encode(b"") + encode(b"two") + bytes(512), step=3)[1] == b"onetwo"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_truncated_stream_is_refused(kind: str) -> None:
    data = ENCODERS[kind](DATA)

    for cut in (len(data) - 1, len(data) // 2, 12):
        with pytest.raises(InvalidArgument):
            read_all(data[:cut])


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_garbage_after_the_end_is_refused(kind: str) -> None:
    with pytest.raises(InvalidArgument):
        read_all(ENCODERS[kind](DATA) + b"garbage")


@pytest.mark.parametrize("head", [b"BZh91AY", b"\xfd7zXZ\x00"])
def test_a_head_alone_is_damaged(head: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"damaged|ends early"):
        read_all(head + bytes(100))


@pytest.mark.parametrize(("kind", "pack"), [("bzip2", bz2.compress), ("xz", lzma.compress)])
def test_what_docker_cp_takes_besides(kind: str, pack: Callable[[bytes], bytes]) -> None:
    assert read_all(pack(DATA)) == (kind, DATA)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_stopped_by_its_ratio(kind: str) -> None:
    bomb = ENCODERS[kind](bytes(20 << 20))

    with pytest.raises(Exhausted, match="times its size"):
        read_all(bomb, limits=Limits(ratio=100, ratio_floor_bytes=1 << 20))
    assert len(read_all(bomb, limits=Limits(ratio=100, ratio_floor_bytes=32 << 20))[1]) == 20 << 20


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_stream_is_stopped_by_its_total(kind: str) -> None:
    with pytest.raises(Exhausted, match="limit"):
        read_all(ENCODERS[kind](DATA), limits=Limits(total_bytes=len(DATA) - 1))


def test_an_empty_stream_is_empty() -> None:
    assert read_all(b"") == ("", b"")


@given(st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b""]), st.binary(max_size=200))
def test_garbage_never_escapes_the_taxonomy(head: bytes, body: bytes) -> None:
    with contextlib.suppress(HoldfastError):
        read_all(head + body)
