# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.networks import driver_options


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lambda options: driver_options.check_flag(options, "k"), ("true", "0", "F"), ("yes", "", "TrUe")),
        (
            lambda options: driver_options.check_mtu(options, "k", minimum=68),
            ("0", "68", "9000", "+1500"),
            ("x", "", "67", "65536", "-1500", "1 5"),
        ),
        (lambda options: driver_options.check_address(options, "k"), ("127.0.0.1", "::1"), ("x", "", "1.2.3")),
        (lambda options: driver_options.check_address(options, "k", version=4), ("127.0.0.1",), ("::1", "x")),
        (lambda options: driver_options.check_word(options, "k", ("a", "b"), "unknown"), ("a",), ("c", "")),
        (
            lambda options: [driver_options.check_interface_name("k", each) for each in options.values()],
            ("br0", "a.b", "x" * 15),
            ("", "x" * 16, "ü" * 8, "a b", "a/b", "a:b", "a%d", 'a"b', "a*", ".", "..", "all", "default", "a\n"),
        ),
    ],
)
def test_options(check, good, bad):
    check({})
    for value in good:
        check({"k": value})
    for value in bad:
        with pytest.raises(errors.InvalidArgument, match="failed to parse k value: "):
            check({"k": value})


@given(st.text())
def test_any_text_is_judged(text):
    for check in (driver_options.check_flag, driver_options.check_address):
        try:
            check({"k": text}, "k")
        except errors.InvalidArgument:
            continue
    try:
        driver_options.check_mtu({"k": text}, "k", minimum=68)
    except errors.InvalidArgument:
        return
    assert 68 <= int(text) <= 65535 or int(text) == 0
