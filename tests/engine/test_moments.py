# SPDX-License-Identifier: Apache-2.0
"""Points in time, as clients write them."""

import pytest

from holdfast.engine import moments
from holdfast.errors import InvalidArgument

NOW = 10_000 * 10**9


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1h30m", 4600 * 10**9),
        ("250ms", NOW - 250 * 10**6),
        ("1700000000.5", 17 * 10**17 + 5 * 10**8),
        ("1970-01-01T00:01:00Z", 60 * 10**9),
        ("1970-01-01T01:00:01.123456789+01:00", 1_123_456_789),
        ("1970-01-02", 86400 * 10**9),
    ],
)
def test_moments_are_epochs_dates_and_durations(text: str, nanos: int) -> None:
    assert moments.parse(text, NOW) == nanos


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='failed to parse value as time or duration: "soon"'):
        moments.parse("soon", NOW)


def test_parameters_are_refused_in_their_own_words() -> None:
    assert moments.parse_parameter("250ms", NOW) == NOW - 250 * 10**6
    with pytest.raises(InvalidArgument, match=r'strconv.ParseInt: parsing "soon": invalid syntax'):
        moments.parse_parameter("soon", NOW)
