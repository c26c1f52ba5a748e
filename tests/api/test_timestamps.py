# SPDX-License-Identifier: Apache-2.0
"""Points in time."""

import pytest

from holdfast.api.timestamps import parse_nanos
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("", None),
        ("0", 0),
        ("1700000000", 1_700_000_000_000_000_000),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000.000000001999", 1_700_000_000_000_000_001),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T23:13:20.25+01:00", 1_700_000_000_250_000_000),
    ],
)
def test_seconds_and_rfc_3339_are_read(text, nanos):
    assert parse_nanos(text) == nanos


@pytest.mark.parametrize("text", ["x", "1.x", "1h", "１", "2023-13-01T00:00:00Z", "-", "."])
def test_other_texts_are_refused(text):
    with pytest.raises(InvalidArgument, match="failed to parse value as time"):
        parse_nanos(text)
