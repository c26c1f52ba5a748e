# SPDX-License-Identifier: Apache-2.0
"""The json-file driver: bytes on disk, rotation, options."""

import gzip
import json
from pathlib import Path

import pytest
from log_target import target

from holdfast import errors
from holdfast.logs import factory

NOW = 1_700_000_000_123_000_000
TIME = "2023-11-14T22:13:20.123Z"


def _open(path: Path, options: dict[str, str] | None = None, attributes: dict[str, str] | None = None):
    return factory.open_writer(target("json-file", path, options or {}, attributes or {}))


def test_entries_are_dockers_byte_for_byte(tmp_path: Path):
    writer = _open(tmp_path / "x.log")

    writer.write(1, b"hello\nwor", NOW)
    writer.write(2, b'"oops"\n', NOW)
    writer.write(1, b"ld\nno end", NOW)
    writer.close(NOW)

    assert (tmp_path / "x.log").read_text() == (
        f'{{"log":"hello\\n","stream":"stdout","time":"{TIME}"}}\n'
        f'{{"log":"\\"oops\\"\\n","stream":"stderr","time":"{TIME}"}}\n'
        f'{{"log":"world\\n","stream":"stdout","time":"{TIME}"}}\n'
        f'{{"log":"no end","stream":"stdout","time":"{TIME}"}}\n'
    )


def test_attributes_stand_before_the_time(tmp_path: Path):
    writer = _open(tmp_path / "x.log", attributes={"tag": "t", "a": "b"})

    writer.write(1, b"x\n", NOW)

    expected = f'{{"log":"x\\n","stream":"stdout","attrs":{{"a":"b","tag":"t"}},"time":"{TIME}"}}\n'
    assert (tmp_path / "x.log").read_text() == expected


def test_a_writer_appends_to_what_is_there(tmp_path: Path):
    for _ in range(2):
        writer = _open(tmp_path / "x.log")
        writer.write(1, b"x\n", NOW)
        writer.close(NOW)
        writer.close(NOW)

    assert len((tmp_path / "x.log").read_text().splitlines()) == 2


def _rotated(tmp_path: Path, options: dict[str, str]) -> list[Path]:
    writer = _open(tmp_path / "x.log", options)
    number = 0
    for _ in range(40):
        lines = b"".join(b"%06d\n" % (number + i) for i in range(100))
        number += 100
        writer.write(1, lines, NOW)
    writer.close(NOW)
    return sorted(tmp_path.iterdir())


def test_rotation_keeps_max_file_files_of_max_size_and_tears_no_line(tmp_path: Path):
    files = _rotated(tmp_path, {"max-size": "20k", "max-file": "3"})

    assert [file.name for file in files] == ["x.log", "x.log.1", "x.log.2"]
    entry = len(f'{{"log":"000000\\n","stream":"stdout","time":"{TIME}"}}\n')
    assert [20_000 <= file.stat().st_size < 20_000 + entry for file in files[1:]] == [True, True]
    lines = [line for file in reversed(files) for line in file.read_text().splitlines()]
    numbers = [int(json.loads(line)["log"]) for line in lines]
    assert numbers == list(range(numbers[0], 4000))


def test_one_file_is_emptied_when_it_is_full(tmp_path: Path):
    files = _rotated(tmp_path, {"max-size": "20k"})

    assert [file.name for file in files] == ["x.log"]
    assert files[0].stat().st_size <= 20_100


def test_rotated_files_are_compressed_on_request(tmp_path: Path):
    files = _rotated(tmp_path, {"max-size": "20k", "max-file": "3", "compress": "true"})

    assert [file.name for file in files] == ["x.log", "x.log.1.gz", "x.log.2.gz"]
    assert gzip.decompress(files[1].read_bytes()).endswith(b'"}\n')


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max-size": "ten"}, "invalid size: 'ten'"),
        ({"max-size": "-1m"}, "invalid size: '-1m'"),
        ({"max-size": "0"}, "max-size must be a positive number"),
        ({"max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"compress": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ({"compress": "true"}, "compress cannot be true when max-file is less than 2 or max-size is not set"),
    ],
)
def test_wrong_values_are_refused_when_the_log_is_opened(tmp_path: Path, options: dict[str, str], complaint: str):
    factory.check("json-file", options)

    with pytest.raises(errors.InvalidArgument) as refusal:
        _open(tmp_path / "x.log", options)

    assert refusal.value.message == complaint
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_refused_at_once():
    with pytest.raises(errors.InvalidArgument, match="unknown log opt 'max-sze' for json-file log driver"):
        factory.check("json-file", {"max-sze": "1m"})


def test_an_unknown_driver_is_refused():
    with pytest.raises(errors.InvalidArgument, match="logger: no log driver named 'nosuch' is registered"):
        factory.check("nosuch", {})


def test_the_none_driver_keeps_nothing(tmp_path: Path):
    writer = factory.open_writer(target("none", tmp_path / "x.log", {}, {}))
    writer.write(1, b"x\n", NOW)
    writer.close(NOW)

    assert list(tmp_path.iterdir()) == []
    factory.check("none", {"max-size": "1m"})
