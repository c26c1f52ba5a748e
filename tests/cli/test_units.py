# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.cli import units


@pytest.mark.parametrize(
    ("size", "precision", "text"),
    [(0, 4, "0B"), (999, 4, "999B"), (1234567, 4, "1.235MB"), (1510000, 3, "1.51MB"), (1e9, 3, "1GB")],
)
def test_sizes_read_as_docker_writes_them(size: float, precision: int, text: str) -> None:
    assert units.human_size(size, precision) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("512m", 512 << 20), ("1.5g", 3 << 29), ("64KiB", 65536), ("2GB", 2 << 30), ("7b", 7)],
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "1q", "-5m", "1.2.3"])
def test_a_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        units.parse_bytes(text)


@given(st.text(max_size=12))
def test_no_text_breaks_the_size_reader(text: str) -> None:
    try:
        assert units.parse_bytes(text) >= 0
    except errors.InvalidArgument:
        pass


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0", 0), ("500ms", 5 * 10**8), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("-2s", -2 * 10**9)],
)
def test_durations_are_read_as_go_reads_them(text: str, nanos: int) -> None:
    assert units.parse_duration(text) == nanos


@pytest.mark.parametrize("text", ["", "5", "ms", "1x", "1s2"])
def test_a_wrong_duration_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (3000, "50 minutes"),
        (3700, "About an hour"),
        (86400, "24 hours"),
        (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"),
        (86400 * 100, "3 months"),
        (86400 * 800, "2 years"),
    ],
)
def test_ages_read_as_docker_writes_them(seconds: float, text: str) -> None:
    assert units.ago(seconds) == text


def test_api_times_keep_their_fraction() -> None:
    assert units.parse_time("2026-11-21T01:02:03.25Z") == 1795222923.25
    assert units.parse_time("2026-11-21T01:02:03Z") == 1795222923.0
