# SPDX-License-Identifier: Apache-2.0
"""Platforms as users write them."""

import pytest

from holdfast.errors import InvalidArgument
from holdfast.oci import platform
from holdfast.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux", Platform("linux", "amd64")),
        ("LINUX", Platform("linux", "amd64")),
        ("windows(10.0.17763)", Platform("windows", "amd64", os_version="10.0.17763")),
        ("macos", Platform("darwin", "amd64")),
        ("macos/aarch64", Platform("darwin", "arm64")),
        ("armhf", Platform("linux", "arm", "v7")),
        ("linux/sparc64", Platform("linux", "sparc64")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
    ],
)
def test_a_platform_is_read_as_containerd_reads_it(text: str, expected: Platform) -> None:
    assert platform.parse(text, "x86_64") == expected


def test_the_host_gives_what_is_missing() -> None:
    assert platform.parse("linux", "aarch64") == Platform("linux", "arm64")
    assert platform.parse("linux", "armv7l") == Platform("linux", "arm", "v7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("   ", "is an invalid OS component of"),
        ("/", "is an invalid OS component of"),
        ("linux/", 'is an invalid component of "linux/"'),
        ("linux/*", "wildcards not yet supported"),
        ("linux/a/b/c", "cannot parse platform specifier"),
        ("linux/a/b/c/d", "is an invalid component"),
        ("nintendo64", "unknown operating system or architecture"),
    ],
)
def test_what_is_no_platform_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message.replace("*", ".")):
        platform.parse(text, "x86_64")
