# SPDX-License-Identifier: Apache-2.0
"""What holds for every form of log that can be read: selection, tails over rotations, clocks that jump, full disks."""

import asyncio
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_target import target

from holdfast.logs import factory, reader, record_entries, records
from holdfast.logs.formats import JSON_LINES, RECORDS
from holdfast.logs.selection import Selection

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND
FORMS = {"json-file": JSON_LINES, "local": RECORDS}

pytestmark = pytest.mark.parametrize("driver", FORMS)


def _path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "x.log"


def _writer(driver: str, tmp_path: Path, **options: str):
    path = _path(tmp_path)
    path.parent.mkdir(exist_ok=True)
    given = {name.replace("_", "-"): value for name, value in options.items()}
    return factory.open_writer(target(driver, path, given, {"b": "2 3", "a": "1"}))


async def _read(driver: str, tmp_path: Path, **how: object) -> list[bytes]:
    return [text async for _, text in reader.read(str(_path(tmp_path)), form=FORMS[driver], **how)]  # type: ignore[arg-type]


async def test_times_and_details_are_shown(driver: str, tmp_path: Path):
    writer = _writer(driver, tmp_path)
    writer.write(1, b"x\ny\n", NOW + 5000)

    assert await _read(driver, tmp_path, timestamps=True, details=True, tail=1) == [
        b"2023-11-14T22:13:20.000005000Z a=1,b=2+3 y\n"
    ]


async def test_bounds_are_inclusive(driver: str, tmp_path: Path):
    writer = _writer(driver, tmp_path)
    for number in range(10):
        writer.write(1, b"%d\n" % number, NOW + number * SECOND)

    assert await _read(driver, tmp_path, since=NOW + 3 * SECOND, until=NOW + 5 * SECOND) == [b"3\n", b"4\n", b"5\n"]


@pytest.mark.parametrize("tail", [0, 1, 7, 99, 100, 101])
@pytest.mark.parametrize("compress", ["false", "true"])
async def test_the_tail_is_counted_over_rotated_files(driver: str, tmp_path: Path, tail: int, compress: str):
    writer = _writer(driver, tmp_path, max_size="1k", max_file="60", compress=compress)
    for number in range(0, 100, 4):
        writer.write(1, b"".join(b"line %d\n" % (number + more) for more in range(4)), NOW)

    said = await _read(driver, tmp_path, tail=tail)

    assert said == [b"line %d\n" % number for number in range(max(0, 100 - tail), 100)]


async def test_63_a_clock_that_jumps_a_day_loses_nothing_and_hangs_nobody(driver: str, tmp_path: Path):
    writer = _writer(driver, tmp_path, max_size="500", max_file="9", compress="false")
    for number, now in enumerate((NOW, NOW + DAY, NOW - DAY, NOW, NOW + 1)):
        writer.write(1, b"%d\n" % number, now)
    writer.close(NOW)

    assert await _read(driver, tmp_path) == [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]
    assert await _read(driver, tmp_path, since=NOW) == [b"0\n", b"1\n", b"3\n", b"4\n"]
    reading = _read(driver, tmp_path, follow=True, until=NOW + 2 * DAY, is_running=lambda: False)
    assert len(await asyncio.wait_for(reading, 5)) == 5
    assert await _read(driver, tmp_path, since=NOW + 2 * DAY) == []


async def test_following_sees_what_comes_over_compressed_rotations(driver: str, tmp_path: Path):
    is_running = True
    writer = _writer(driver, tmp_path, max_size="2k", max_file="90", compress="true")

    async def write() -> None:
        nonlocal is_running
        for number in range(600):
            writer.write(1, b"line %d\n" % number, NOW)
            if number % 40 == 0:
                await asyncio.sleep(0.005)
        writer.close(NOW)
        await asyncio.sleep(0.05)
        is_running = False

    writing = asyncio.create_task(write())
    said = await asyncio.wait_for(_read(driver, tmp_path, follow=True, is_running=lambda: is_running), 10)
    await writing

    assert said == [b"line %d\n" % number for number in range(600)]


_FULL = """
import subprocess, sys, time
sys.path[:0] = sys.argv[2:4]
from log_target import target
from holdfast.logs import factory
root = sys.argv[4]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", root], check=True)
writer = factory.open_writer(target(sys.argv[1], root + "/x.log"))
for number in range(20000):
    writer.write(1, b"line %d\\n" % number, 1)
subprocess.run(["mount", "-t", "tmpfs", "-o", "remount,size=8m", "tmpfs", root], check=True)
writer.write(1, b"room again\\n", 2)
writer.close(2)
sys.stdout.buffer.write(open(root + "/x.log", "rb").read())
"""


def test_15_a_full_disk_drops_whole_entries_and_logging_goes_on_with_the_room(driver: str, tmp_path: Path):
    source = Path(__file__).resolve().parents[2] / "src"
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", _FULL, driver]
    (tmp_path / "full").mkdir()

    done = subprocess.run(
        [*command, str(source), str(Path(__file__).parent), str(tmp_path / "full")], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
    decoder = FORMS[driver].open_decoder(Selection())
    texts = [text for _, text in decoder.feed(done.stdout)]
    assert texts[-1] == b"room again\n"
    assert len(texts) > 1000
    assert texts[:-1] == [b"line %d\n" % number for number in range(len(texts) - 1)]


@settings(max_examples=60)
@given(
    pieces=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=60)), max_size=20),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
)
def test_however_a_file_is_read_in_pieces_it_says_the_same(driver: str, tmp_path_factory, pieces, cuts):
    folder = tmp_path_factory.mktemp("log")
    writer = _writer(driver, folder)
    for stream, data in pieces:
        writer.write(stream, data, NOW)
    writer.close(NOW)
    data = _path(folder).read_bytes()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    whole = FORMS[driver].open_decoder(Selection()).feed(data)
    decoder = FORMS[driver].open_decoder(Selection())
    pieced = [said for start, end in itertools.pairwise(edges) for said in decoder.feed(data[start:end])]

    assert pieced == whole
    for stream in (1, 2) if driver == "local" else ():
        spoken = b"".join(data for number, data in pieces if number == stream)
        assert b"".join(text for number, text in whole if number == stream) == spoken


def test_damaged_records_are_left_out(driver: str, tmp_path: Path):
    good = records.pack(1, b"good\n", NOW, b"")
    torn = records.pack(1, b"torn\n", NOW, b"")[:-7]

    said = record_entries.Decoder(Selection()).feed(good + torn + b"\0\0junk" + good + b"\xff" * 3 + good)

    assert [text for _, text in said] == [b"good\n"] * 3
