# SPDX-License-Identifier: Apache-2.0
"""hosts.toml: what it says, what is wrong with it, and pulls that follow it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from holdfast.distribution import Credentials, Puller, Registries, RegistryConfig, hosts_file, retry
from holdfast.distribution.endpoints import plan_endpoints
from holdfast.errors import InvalidArgument
from holdfast.oci import reference as references

FULL = b"""
server = "https://registry.example"
[host."https://mirror.example/cache"]
  capabilities = ["pull", "resolve"]
  ca = "ca.pem"
  client = [["cert.pem", "/abs/key.pem"], ["both.pem"]]
  skip_verify = true
[host."http://other.example:5000/v2/sub"]
  override_path = true
  [host."http://other.example:5000/v2/sub".header]
    x-key = ["a", "b"]
[host."https://push-only.example"]
  capabilities = ["push"]
"""


def test_everything_that_a_file_says() -> None:
    hosts = hosts_file.parse(FULL, "registry.example", "/etc/c/registry.example/hosts.toml")

    first, second = hosts.mirrors
    assert (first.api, first.verify, first.namespace) == ("https://mirror.example/cache/v2", False, "registry.example")
    assert first.ca == ("/etc/c/registry.example/ca.pem",)
    assert first.client == (
        ("/etc/c/registry.example/cert.pem", "/abs/key.pem"),
        ("/etc/c/registry.example/both.pem", ""),
    )
    assert (second.api, second.headers) == ("http://other.example:5000/v2/sub", (("x-key", "a, b"),))
    assert hosts.server is not None
    assert (hosts.server.url, hosts.server.is_mirror) == ("https://registry.example", False)


def test_mirrors_come_before_the_registry() -> None:
    hosts = hosts_file.parse(b'[host."https://m.example"]', "r.example", "/c/r.example/hosts.toml")

    assert [each.url for each in plan_endpoints("r.example", RegistryConfig(), hosts)] == [
        "https://m.example",
        "https://r.example",
    ]


@pytest.mark.parametrize(
    "text",
    ["server = ", "host = 1", '[host]\nx = 1', '[host."ftp://x"]', '[host."https://u:p@x"]', '[host."https://x"]\nca = 1',
     '[host."https://x"]\nclient = [["a","b","c"]]', '[host."https://x".header]\n"a b" = "c"', '[host."https://x".header]\na = "b\\n"'],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_files_name(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"/c/x/hosts.toml"):
        hosts_file.parse(text.encode(), "x", "/c/x/hosts.toml")


def test_the_first_folder_wins_and_default_is_for_the_rest(tmp_path: Path) -> None:
    for folder, name in (("a", "_default"), ("b", "r.example")):
        path = tmp_path / folder / name / "hosts.toml"
        path.parent.mkdir(parents=True)
        path.write_text(f'server = "https://{folder}.example"')

    folders = (str(tmp_path / "b"), str(tmp_path / "a"))
    assert hosts_file.find("r.example", folders).server.host == "b.example"  # pyright: ignore
    assert hosts_file.find("other.example", folders).server.host == "a.example"  # pyright: ignore
    assert hosts_file.find("other.example", ()) is None


@pytest.fixture
def mirrored(registry: Any, other_registry: Any, tmp_path: Path, store: Any, images: Any) -> Any:
    """A puller for `registry` that asks `other_registry` first."""
    path = tmp_path / "certs" / registry.host / "hosts.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[host."http://{other_registry.host}"]\n')
    policy = retry.Policy(attempts=2, deadline_seconds=3.0, first_delay_seconds=0.02, max_delay_seconds=0.05)
    registries = Registries(RegistryConfig(certs_dirs=(str(tmp_path / "certs"),)), policy=policy)
    puller = Puller(store=store, images=images, registries=registries)
    yield puller
    puller.close()


def pull(puller: Any, registry: Any, **options: Any) -> Any:
    return puller.pull(references.parse(f"{registry.host}/library/thing"), **options)


def test_a_mirror_serves_the_pull_and_hears_no_password(registry: Any, other_registry: Any, mirrored: Any) -> None:
    other_registry.add_image("latest", b"a" * 100)

    pull(mirrored, registry, credentials=Credentials(username="alice", password="canary"))

    assert registry.seen == []
    assert all("?ns=" in seen.path for seen in other_registry.seen if "/blobs/" in seen.path)
    assert not any("authorization" in seen.headers for seen in other_registry.seen)


def test_a_mirror_without_the_image_costs_nothing_but_the_question(
    registry: Any, other_registry: Any, mirrored: Any
) -> None:
    registry.add_image("latest", b"a" * 100)

    pull(mirrored, registry)

    assert len(other_registry.seen) == 1


def test_a_mirror_that_breaks_in_the_middle_is_left(
    registry: Any, other_registry: Any, mirrored: Any, images: Any
) -> None:
    for each in (registry, other_registry):
        each.add_image("latest", b"a" * 100, b"b" * 100)
    other_registry.misbehave("/blobs/", lambda h: h.refuse(500, "UNKNOWN", "broken"))

    pull(mirrored, registry)

    assert len(images.chains) == 2


def test_a_mirror_that_lies_is_left(registry: Any, other_registry: Any, mirrored: Any) -> None:
    registry.add_image("latest", b"a" * 100)
    other_registry.add_document("latest", other_registry.manifest(b"x"), Docker_Content_Digest="sha256:" + "0" * 64)

    pull(mirrored, registry)


def test_a_mirror_that_is_gone_is_left(registry: Any, other_registry: Any, mirrored: Any) -> None:
    registry.add_image("latest", b"a" * 100)
    other_registry.close()

    done = threading.Thread(target=pull, args=(mirrored, registry))
    done.start()
    done.join(10)

    assert not done.is_alive()
    assert registry.requests("/manifests/")
