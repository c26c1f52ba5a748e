# SPDX-License-Identifier: Apache-2.0
"""holdfastd's command line."""

import pytest

from holdfast.daemon import flags, options
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["-H", "unix:///a", "-Hunix:///b", "--host=c", "--host", "d"], {"host": ("unix:///a", "unix:///b", "c", "d")}),
        (["-D"], {"debug": True}),
        (["--icc=false", "--tls=1"], {"icc": False, "tls": True}),
        (["-Dl", "warn"], {"debug": True, "log-level": "warn"}),
        (["-l=warn"], {"log-level": "warn"}),
        (["--log-opt", "max-size=1m", "--log-opt=a=b=c"], {"log-opt": {"max-size": "1m", "a": "b=c"}}),
        (["--feature", "a", "--feature=b=false", "--feature=b=1"], {"feature": {"a": True, "b": True}}),
        (["--mtu", "1400"], {"mtu": 1400}),
        (["--bip="], {"bip": ""}),
        ([], {}),
    ],
)
def test_pflags_grammar_is_spoken(words, given):
    assert flags.parse(words) == given


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-Dx"], "unknown shorthand flag: 'x' in -x"),
        (["--host"], "flag needs an argument: --host"),
        (["-H"], "flag needs an argument: -H, --host"),
        (["serve"], '"holdfastd" accepts no arguments'),
        (
            ["--icc=maybe"],
            'invalid argument "maybe" for "--icc" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["--mtu=x"], 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--feature=cdi=maybe"],
            'invalid argument "cdi=maybe" for "--feature" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["--log-opt", "x"], 'invalid argument "x" for "--log-opt" flag: expected KEY=VALUE'),
    ],
)
def test_refusals_are_pflags(words, text):
    with pytest.raises(InvalidArgument) as caught:
        flags.parse(words)

    assert caught.value.message == text


def test_usage_names_every_option_that_has_an_effect():
    text = flags.usage()

    assert all(f"--{option.name}" in text for option in options.USED)
    assert not any(f"--{option.name} " in text for option in options.ACCEPTED + options.REFUSED)
