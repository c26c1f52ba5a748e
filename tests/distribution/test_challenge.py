# SPDX-License-Identifier: Apache-2.0
"""What registries send in `WWW-Authenticate`, and what strangers could."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.distribution import challenge


def test_a_bearer_challenge_gives_realm_service_and_scopes() -> None:
    [found] = challenge.parse(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull x:y:z"'
    )

    assert found.scheme == "bearer"
    assert found.realm == "https://auth.docker.io/token"
    assert found.service == "registry.docker.io"
    assert found.scopes == ("repository:a/b:pull", "x:y:z")


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        ('Basic realm="Registry Realm"', ["basic"]),
        ("Basic", ["basic"]),
        ('Basic realm="a, b", Bearer realm="c"', ["basic", "bearer"]),
        ('Bearer realm="c",service=plain, Basic realm="r"', ["bearer", "basic"]),
        ("Negotiate", ["negotiate"]),
        ("", []),
        ('"nonsense', []),
    ],
)
def test_several_challenges_are_told_apart(header: str, schemes: list[str]) -> None:
    assert [found.scheme for found in challenge.parse(header)] == schemes


def test_quoted_pairs_are_undone() -> None:
    assert challenge.parse(r'Bearer realm="a\"b\\c"')[0].realm == r'a"b\c'


@given(st.text(max_size=300))
def test_no_header_raises(header: str) -> None:
    challenge.parse(header)


def test_a_long_header_is_read_in_linear_time() -> None:
    assert challenge.parse("Bearer " + 'a="' + "\\" * 100_000) == [challenge.Challenge(scheme="bearer")]
