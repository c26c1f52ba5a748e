# SPDX-License-Identifier: Apache-2.0
"""Which addresses are asked, in which order, and who may be asked over plain http."""

from __future__ import annotations

import pytest

from holdfast.distribution.endpoints import RegistryConfig, is_insecure, plan_endpoints, server_domain
from holdfast.errors import InvalidArgument


def urls(domain: str, **config: tuple[str, ...]) -> list[tuple[str, bool]]:
    return [(endpoint.url, endpoint.verify) for endpoint in plan_endpoints(domain, RegistryConfig(**config))]


def test_docker_hub_is_asked_after_its_mirrors() -> None:
    assert urls("docker.io", mirrors=("https://mirror.example/hub/",)) == [
        ("https://mirror.example/hub", True),
        ("https://registry-1.docker.io", True),
    ]


def test_mirrors_are_for_docker_hub_only() -> None:
    assert urls("ghcr.io", mirrors=("https://mirror.example",)) == [("https://ghcr.io", True)]


def test_loopback_falls_back_to_plain_http() -> None:
    assert urls("localhost:5000") == [("https://localhost:5000", False), ("http://localhost:5000", False)]


@pytest.mark.parametrize(
    ("host", "listed", "insecure"),
    [
        ("127.0.0.1:5000", (), True),
        ("127.9.9.9", (), True),
        ("[::1]:5000", (), True),
        ("localhost", (), True),
        ("localhost.example", (), False),
        ("127.0.0.1.example", (), False),
        ("registry.lan:5000", ("registry.lan:5000",), True),
        ("registry.lan:5000", ("registry.lan",), True),
        ("registry.lan:5001", ("registry.lan:5000",), False),
        ("10.1.2.3:5000", ("10.1.0.0/16",), True),
        ("10.2.2.3:5000", ("10.1.0.0/16",), False),
    ],
)
def test_plain_http_is_for_loopback_and_what_is_listed(host: str, listed: tuple[str, ...], insecure: bool) -> None:
    assert is_insecure(host, listed) is insecure


@pytest.mark.parametrize(
    "mirror", ["mirror.example", "ftp://mirror.example", "https://user:pw@mirror.example", "https://m/?q"]
)
def test_a_mirror_must_be_an_address(mirror: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid mirror") as caught:
        RegistryConfig(mirrors=(mirror,))

    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry:5000", "registry:5000"),
        ("http://registry:5000/v2/", "registry:5000"),
    ],
)
def test_server_addresses_of_clients_name_domains(address: str, domain: str) -> None:
    assert server_domain(address) == domain
