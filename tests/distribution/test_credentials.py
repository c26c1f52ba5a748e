# SPDX-License-Identifier: Apache-2.0
"""Reading `X-Registry-Auth`, and the rules of who may be told a password."""

from __future__ import annotations

import base64
import json

import pytest

from holdfast.distribution import credentials
from holdfast.distribution.credentials import ANONYMOUS, Credentials


def header(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def test_a_header_gives_user_and_password_and_no_secret_in_its_repr() -> None:
    found = credentials.from_header(header({"username": "alice", "password": "canary", "serveraddress": "r:5"}))

    assert (found.username, found.password, found.server_address) == ("alice", "canary", "r:5")
    assert found.basic == "Basic " + base64.b64encode(b"alice:canary").decode()
    assert "canary" not in repr(found)


def test_the_auth_member_stands_for_user_and_password() -> None:
    found = credentials.from_header(header({"auth": base64.b64encode(b"bob:se:cret").decode()}))

    assert (found.username, found.password) == ("bob", "se:cret")


def test_padding_and_the_other_alphabet_are_accepted() -> None:
    text = base64.b64encode(json.dumps({"username": "u~~~", "password": "???>>>"}).encode()).decode().rstrip("=")

    assert credentials.from_header(text).username == "u~~~"


@pytest.mark.parametrize("text", ["", "!!!", "e30=", header([]), header(None), "A" * 100_000, header({"auth": "%%%"})])
def test_unreadable_headers_are_anonymous(text: str) -> None:
    assert credentials.from_header(text) == ANONYMOUS
    assert Credentials().is_anonymous


@pytest.mark.parametrize(
    ("registry", "target", "may"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry-1.docker.io", "http://auth.docker.io/token", False),
        ("https://registry-1.docker.io", "https://auth.docker.io.evil.example/token", False),
        ("https://registry-1.docker.io", "https://evildocker.io/token", False),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/t", True),
        ("https://registry.example.co.uk", "https://auth.other.co.uk/t", False),
        ("https://mine.azurecr.io", "https://theirs.azurecr.io/t", False),
        ("https://10.0.0.1:5000", "https://10.0.0.1:5001/t", True),
        ("https://10.0.0.1:5000", "https://10.0.0.2:5000/t", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/t", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/t", False),
        ("http://127.0.0.1:5000", "http://localhost:5000/t", False),
        ("http://registry.lan:5000", "http://registry.lan:5000/v2/", False),
        ("https://r.example.com", "https://user:pw@r.example.com/t", False),
        ("https://r.example.com", "ftp://r.example.com/t", False),
        ("https://r.example.com", "", False),
    ],
)
def test_cve_2020_15157_a_password_goes_to_its_own_domain_only(registry: str, target: str, may: bool) -> None:
    assert credentials.may_send(registry, target) is may
