# SPDX-License-Identifier: Apache-2.0
"""Reading logs back: selection, tail, rotation, following."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_target import target

from holdfast.logs import factory, reader
from holdfast.logs.json_lines import Decoder
from holdfast.logs.selection import Selection

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def _writer(path: Path, **options: str):
    names = {"max_size": "max-size", "max_file": "max-file"}
    options = {names.get(name, name): value for name, value in options.items()}
    return factory.open_writer(target("json-file", path, options, {}))


def _write(path: Path, count: int, **options: str) -> None:
    writer = _writer(path, **options)
    for number in range(count):
        writer.write(1 + number % 2, b"line %d\n" % number, NOW + number * SECOND)
    writer.close(NOW)


async def _read(path: Path, **how: object) -> list[tuple[int, bytes]]:
    return [said async for said in reader.read(str(path), **how)]  # type: ignore[arg-type]


async def test_everything_is_read_in_order_with_its_stream(tmp_path: Path):
    _write(tmp_path / "x.log", 3)

    assert await _read(tmp_path / "x.log") == [(1, b"line 0\n"), (2, b"line 1\n"), (1, b"line 2\n")]


async def test_streams_are_selected(tmp_path: Path):
    _write(tmp_path / "x.log", 4)

    assert await _read(tmp_path / "x.log", stdout=False) == [(2, b"line 1\n"), (2, b"line 3\n")]


async def test_since_and_until_are_inclusive(tmp_path: Path):
    _write(tmp_path / "x.log", 10)

    said = await _read(tmp_path / "x.log", since=NOW + 3 * SECOND, until=NOW + 5 * SECOND)

    assert [text for _, text in said] == [b"line 3\n", b"line 4\n", b"line 5\n"]


async def test_timestamps_have_nine_digits(tmp_path: Path):
    writer = _writer(tmp_path / "x.log")
    writer.write(1, b"x\n", NOW + 5000)

    said = await _read(tmp_path / "x.log", timestamps=True)

    assert said == [(1, b"2023-11-14T22:13:20.000005000Z x\n")]


async def test_details_are_shown_after_the_time(tmp_path: Path):
    writer = factory.open_writer(target("json-file", tmp_path / "x.log", {}, {"b": "2 3", "a": "1"}))
    writer.write(1, b"x\n", NOW)

    assert await _read(tmp_path / "x.log", details=True) == [(1, b"a=1,b=2+3 x\n")]


async def test_a_log_that_does_not_exist_is_empty(tmp_path: Path):
    assert await _read(tmp_path / "x.log") == []


@pytest.mark.parametrize("tail", [0, 1, 5, 99, 100, 101, 500])
@pytest.mark.parametrize("options", [{}, {"max_size": "1k", "max_file": "50"}])
async def test_the_tail_is_counted_over_rotated_files(tmp_path: Path, tail: int, options: dict[str, str]):
    _write(tmp_path / "x.log", 100, **options)

    said = await _read(tmp_path / "x.log", tail=tail)

    assert [text for _, text in said] == [b"line %d\n" % number for number in range(max(0, 100 - tail), 100)]


async def test_compressed_files_are_read(tmp_path: Path):
    _write(tmp_path / "x.log", 60, max_size="1k", max_file="50", compress="true")

    assert sum(name.endswith(".gz") for name in os.listdir(tmp_path)) > 2
    assert len(await _read(tmp_path / "x.log")) == 60


async def test_damaged_lines_are_left_out(tmp_path: Path):
    _write(tmp_path / "x.log", 1)
    with (tmp_path / "x.log").open("ab") as file:
        file.write(b'{"log":"torn\n\x00\x00\n[]\n')
    _write(tmp_path / "x.log", 1)

    assert await _read(tmp_path / "x.log") == [(1, b"line 0\n"), (1, b"line 0\n")]


async def test_following_sees_what_comes_over_rotations_and_ends_with_the_container(tmp_path: Path):
    is_running = True
    writer = _writer(tmp_path / "x.log", max_size="2k", max_file="4")

    async def write() -> None:
        nonlocal is_running
        for number in range(400):
            writer.write(1, b"line %d\n" % number, NOW)
            if number % 10 == 0:
                await asyncio.sleep(0.002)
        writer.close(NOW)
        await asyncio.sleep(0.05)
        is_running = False

    writing = asyncio.create_task(write())
    said = await asyncio.wait_for(_read(tmp_path / "x.log", follow=True, is_running=lambda: is_running), 10)
    await writing

    assert [text for _, text in said] == [b"line %d\n" % number for number in range(400)]


async def test_following_a_log_that_comes_later(tmp_path: Path):
    reading = asyncio.create_task(_read(tmp_path / "x.log", follow=True, tail=0, is_running=lambda: is_running))
    is_running = True
    await asyncio.sleep(0.02)

    _write(tmp_path / "x.log", 2)
    await asyncio.sleep(0.05)
    is_running = False

    assert await asyncio.wait_for(reading, 5) == [(1, b"line 0\n"), (2, b"line 1\n")]


async def test_a_framed_stream_has_a_header_per_entry(tmp_path: Path):
    _write(tmp_path / "x.log", 2)

    pieces = [piece async for piece in reader.stream(str(tmp_path / "x.log"), Selection(), framed=True)]

    assert b"".join(pieces) == b"\1\0\0\0\0\0\0\7line 0\n\2\0\0\0\0\0\0\7line 1\n"


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2]), st.lists(st.text(max_size=4), max_size=9), st.integers(0, 2)), max_size=12
    )
)
def test_the_quick_way_reads_what_the_slow_way_reads(tmp_path_factory: pytest.TempPathFactory, pieces):
    path = tmp_path_factory.mktemp("log") / "x.log"
    writer = _writer(path)
    for stream, words, later in pieces:
        writer.write(stream, "".join(f"{word}\n" for word in words).encode(), NOW + later)
    writer.close(NOW)
    block = path.read_bytes()
    slow = Decoder(Selection(since=1))

    assert Decoder(Selection()).decode(block) == slow.decode(block)
