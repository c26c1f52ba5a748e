# SPDX-License-Identifier: Apache-2.0
"""Which requests go through a proxy, and that they do: a real one that wants a password, before a registry nobody else finds."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from forward_proxy import Proxy

from holdfast.distribution import Credentials, Puller, Registries, RegistryConfig, proxies, retry
from holdfast.distribution.http import Unreachable
from holdfast.distribution.proxies import Proxies
from holdfast.engine import remote_archive
from holdfast.errors import HoldfastError, InvalidArgument, Unavailable
from holdfast.oci import reference as references

BOTH = Proxies("http://p:1", "http://s:2")


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("", "https://registry.example/v2/", False),
        ("example", "https://registry.example/v2/", True),
        ("registry.example", "https://registry.example/", True),
        ("registry.example", "https://other-registry.example/", False),
        ("gistry.example", "https://registry.example/", False),
        (".example", "https://registry.example/", True),
        (".registry.example", "https://registry.example/", False),
        ("*.example", "https://registry.example/", True),
        ("*", "https://registry.example/", True),
        ("a, REGISTRY.example ,b", "https://Registry.Example/", True),
        ("registry.example:5000", "https://registry.example/", False),
        ("registry.example:443", "https://registry.example/", True),
        ("registry.example:80", "http://registry.example/", True),
        ("10.0.0.0/8", "http://10.1.2.3:5000/", True),
        ("10.0.0.0/8", "http://11.1.2.3:5000/", False),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("2.3", "http://10.1.2.3/", False),
        ("10.1.2.3:1", "http://10.1.2.3/", False),
        ("2001:db8::/32", "http://[2001:db8::1]:5000/", True),
        ("2001:db8::1", "http://[2001:db8::1]:5000/", True),
        ("[2001:db8::1]:5000", "http://[2001:db8::1]:5000/", True),
        ("", "https://localhost:5000/", True),
        ("", "http://127.0.0.2/", True),
        ("", "http://[::1]/", True),
        ("/,:,[,*.", "http://registry.example/", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(no_proxy: str, url: str, is_direct: bool) -> None:
    assert (BOTH._replace(no_proxy=no_proxy).for_url(url) == "") is is_direct


def test_each_scheme_has_its_proxy_and_a_bare_host_is_http() -> None:
    assert BOTH.for_url("http://x/") == "http://p:1"
    assert BOTH.for_url("https://x/") == "http://s:2"
    assert Proxies("p:1").for_url("http://x/") == "http://p:1"
    assert Proxies("p:1").for_url("https://x/") == ""


def test_the_configuration_wins_over_the_environment_option_by_option() -> None:
    environment = {"HTTP_PROXY": "http://e", "https_proxy": "http://f", "NO_PROXY": "a", "no_proxy": "b"}

    assert proxies.resolve(Proxies(http="http://c"), environment) == Proxies("http://c", "http://f", "a")


def test_passwords_are_masked_as_docker_masks_them() -> None:
    assert proxies.masked("http://me:secret@proxy:3128/x") == "http://xxxxx:xxxxx@proxy:3128/x"
    assert proxies.masked("http://me@proxy") == "http://xxxxx:xxxxx@proxy"
    assert proxies.masked("http://proxy:3128") == "http://proxy:3128"


@pytest.mark.parametrize(
    "text", ["socks5://me:secret@proxy", "ftp://proxy", "http://", "http://proxy:99999", "http://["]
)
def test_what_is_no_proxy_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid proxy") as caught:
        proxies.check(Proxies(https=text))

    assert "secret" not in caught.value.message


@pytest.fixture
def proxy(registry: Any) -> Iterator[Proxy]:
    running = Proxy(registry.server.server_address[:2])
    yield running
    running.close()


def puller(images: Any, through: Proxies, **config: Any) -> Puller:
    registries = Registries(
        RegistryConfig(proxies=through, **{"certs_dirs": (), **config}),
        policy=retry.Policy(attempts=1, deadline_seconds=5.0),
    )
    return Puller(store=images.store, images=images, registries=registries)


def test_a_plain_pull_goes_through_the_proxy_and_its_password_no_further(
    registry: Any, images: Any, proxy: Proxy
) -> None:
    registry.add_image("v1", b"layer")
    pulling = puller(images, Proxies(http=proxy.url), insecure=("registry.test",))

    pulling.pull(references.parse("registry.test/x:v1"))
    pulling.close()

    assert "GET http://registry.test/v2/x/manifests/v1" in proxy.seen
    assert {seen.headers["host"] for seen in registry.seen} == {"registry.test"}
    assert not any("proxy-authorization" in seen.headers for seen in registry.seen)


def test_a_pull_over_tls_goes_through_a_tunnel(registry: Any, images: Any, proxy: Proxy, tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "certs" / "registry.test").mkdir(parents=True)
    authority.cert_pem.write_to_path(str(tmp_path / "certs" / "registry.test" / "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("registry.test").configure_cert(context)
    registry.server.socket = context.wrap_socket(registry.server.socket, server_side=True)
    registry.add_image("v1", b"layer")
    pulling = puller(images, Proxies(https=proxy.url), certs_dirs=(str(tmp_path / "certs"),))

    pulling.pull(references.parse("registry.test/x:v1"))
    pulling.close()

    assert set(proxy.seen) == {"CONNECT registry.test:443"}
    assert registry.requests("/blobs/")
    assert not any("proxy-authorization" in seen.headers for seen in registry.seen)


def test_a_login_goes_through_the_proxy(registry: Any, images: Any, proxy: Proxy) -> None:
    asking = puller(images, Proxies(http=proxy.url), insecure=("registry.test",))

    asking.log_in(Credentials(server_address="registry.test", username="u", password="p"))
    asking.close()

    assert "GET http://registry.test/v2/" in proxy.seen


def test_a_host_of_no_proxy_and_loopback_are_asked_directly(registry: Any, images: Any, proxy: Proxy) -> None:
    registry.add_image("v1", b"layer")
    pulling = puller(images, Proxies(http=proxy.url, no_proxy="registry.test"), insecure=("registry.test",))

    pulling.pull(references.parse(f"{registry.host}/x:v1"))
    with pytest.raises(Unreachable, match="no such host"):
        pulling.pull(references.parse("registry.test/x:v1"))
    pulling.close()

    assert proxy.seen == []


def test_a_proxy_that_is_away_or_wants_another_password_is_told_without_it(
    registry: Any, images: Any, proxy: Proxy
) -> None:
    wrong = proxy.url.replace("prox:p", "prox:secret")
    away = "http://me:secret@127.0.0.1:1"
    messages: list[str] = []
    for through in (Proxies(http=wrong, https=wrong), Proxies(http=away, https=away)):
        pulling = puller(images, through, insecure=("registry.test",))
        with pytest.raises(HoldfastError) as caught:
            pulling.pull(references.parse("registry.test/x:v1"))
        pulling.close()
        messages.append(str(caught.value))

    assert "407" in messages[0] or "Proxy" in messages[0], messages
    assert "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused" in messages[1]
    assert not any("secret" in message for message in messages), messages


async def _fetched(url: str, through: Proxies) -> bytes:
    return b"".join([piece async for piece in remote_archive.fetch(url, through)])


async def test_an_import_goes_through_the_proxy_also_after_a_redirect(registry: Any, proxy: Proxy) -> None:
    registry.misbehave("/first", lambda handler: handler.reply(302, b"", {"Location": "http://other.test/second"}))
    registry.misbehave("/second", lambda handler: handler.reply(200, b"archive", {}))

    assert await _fetched("http://web.test/first", Proxies(http=proxy.url)) == b"archive"

    assert proxy.seen == ["GET http://web.test/first", "GET http://other.test/second"]
    assert not any("proxy-authorization" in seen.headers for seen in registry.seen)


async def test_an_import_that_the_proxy_refuses_says_so(proxy: Proxy) -> None:
    with pytest.raises(Unavailable, match="407"):
        await _fetched("http://web.test/x", Proxies(http=proxy.url.replace("prox:p", "prox:secret")))
    with pytest.raises(Unavailable, match="407"):
        await _fetched("https://web.test/x", Proxies(https=proxy.url.replace("prox:p", "prox:secret")))
