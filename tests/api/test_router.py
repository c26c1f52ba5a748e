# SPDX-License-Identifier: Apache-2.0
"""Routes, versions, and the table of all operations."""

import pytest

from holdfast.api import operations, router
from holdfast.api.http import Empty
from holdfast.api.router import Route, Router
from holdfast.errors import InvalidArgument, NotFound, Unsupported


async def handler(request):
    return Empty()


async def other(request):
    return Empty()


ROUTER = Router(
    [
        Route("GET", "/info", handler),
        Route("GET", "/containers/json", other),
        Route("GET", "/containers/{id}/json", handler),
        Route("GET", "/images/{name...}/json", handler),
        Route("DELETE", "/images/{name...}", handler),
        Route("GET", "/images/json", other),
    ]
)


@pytest.mark.parametrize(
    ("path", "params", "version"),
    [
        ("/info", {}, (1, 51)),
        ("/v1.24/info", {}, (1, 24)),
        ("/v1.44.1/info", {}, (1, 44)),
        ("/v1.51/containers/abc/json", {"id": "abc"}, (1, 51)),
        ("/containers/a%20b/json", {"id": "a b"}, (1, 51)),
        ("/containers/a%252Fb/json", {"id": "a%2Fb"}, (1, 51)),
        ("/images/localhost:5000/a/b:tag/json", {"name": "localhost:5000/a/b:tag"}, (1, 51)),
        ("/images/localhost%3A5000%2Fa/json", {"name": "localhost:5000/a"}, (1, 51)),
    ],
)
def test_a_path_finds_its_handler(path, params, version):
    match = ROUTER.match("GET", path)

    assert match.handler is handler
    assert (match.params, match.version) == (params, version)


def test_a_fixed_path_wins_over_a_parameter():
    assert ROUTER.match("GET", "/containers/json").handler is other
    assert ROUTER.match("GET", "/images/json").handler is other


@pytest.mark.parametrize(
    "path",
    ["/nosuch", "/v1.99/nosuch", "//info", "/info/", "/./info", "/containers//json", "/containers/a/b/json", "info", "*", "",
     "/v1.51", "/vx/info", "/containers/../info"],
)  # fmt: skip
def test_anything_else_is_not_found(path):
    with pytest.raises(NotFound, match=r"^page not found$"):
        ROUTER.match("GET", path)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//info", "/info"),
        ("/v1.51//images/json", "/v1.51/images/json"),
        ("/./info", "/info"),
        ("/images/%2e%2e/a%20b/", "/a%20b/"),
        ("/../..", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/images/https://x/y/json", "/images/https:/x/y/json"),
    ],
)
def test_a_path_that_is_not_clean_leads_to_one_that_is(path, clean):
    assert router.cleaned(path) == clean
    assert router.cleaned(clean) == ""


@pytest.mark.parametrize("path", ["/", "/info", "/info/", "/images/a%2Fb/json", "/containers/.x/json", "/x/a..b"])
def test_a_clean_path_leads_nowhere(path):
    assert router.cleaned(path) == ""


def test_the_wrong_method_is_not_found():
    with pytest.raises(NotFound):
        ROUTER.match("POST", "/info")


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("1.99", "client version 1.99 is too new. Maximum supported API version is 1.51"),
        ("2.0", "client version 2.0 is too new. Maximum supported API version is 1.51"),
        ("1.10", "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"),
        ("1", "client version 1 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"),
        ("..", "client version .. is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"),
    ],
)  # fmt: skip
def test_versions_out_of_range_are_refused_in_dockers_words(version, text):
    with pytest.raises(InvalidArgument) as caught:
        ROUTER.match("GET", f"/v{version}/info")

    assert caught.value.message == text


async def test_every_operation_of_the_api_is_known():
    empty = Router([])

    for method, pattern in operations.ALL:
        path = pattern.replace("{name...}", "a/b").replace("{id}", "x").replace("{name}", "x")
        with pytest.raises(Unsupported, match="not implemented"):
            await empty.match(method, path).handler(None)
    assert len(operations.ALL) == 108


def test_two_handlers_for_one_path_are_a_mistake():
    with pytest.raises(ValueError, match="two handlers"):
        Router([Route("GET", "/info", handler), Route("GET", "/info", other)])
