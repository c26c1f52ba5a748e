# SPDX-License-Identifier: Apache-2.0
"""Which handler answers a method and a path.

Matches the raw path exactly (percent signs decoded once and only inside a parameter), with or without `/v1.NN` before
it; a path with `//`, `.` or `..` in it is none of ours: `cleaned` says where it leads. Knows every operation of the
Engine API, so a route that Docker has and Holdfast has not is a 501 that names it, and anything else Docker's 404.
Built by `daemon.wiring`, asked by `api.server`.
Source: Engine API v1.51, moby `server/middleware/version.go`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote, unquote

import msgspec

from holdfast.api import operations
from holdfast.api.errors import ClientTooOld
from holdfast.api.http import Request, Response
from holdfast.errors import InvalidArgument, NotFound, Unsupported

MINIMUM = (1, 24)
MAXIMUM = (1, 51)

Handler = Callable[[Request], Awaitable[Response]]

_PARAMETER = re.compile(r"\{(\w+)(\.\.\.)?\}")
_VERSION = re.compile(r"/v([0-9.]+)(/.*)", re.DOTALL)
_NUMBERS = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


class Route(msgspec.Struct, frozen=True):
    """One operation: `pattern` is unversioned, `{name}` matches one segment, `{name...}` one or more."""

    method: str
    pattern: str
    handler: Handler


class Match(msgspec.Struct, frozen=True):
    """The answer of the router: whom to call, with what."""

    handler: Handler
    path: str
    params: dict[str, str]
    version: tuple[int, int]


class Router:
    """A fixed table of routes; a static path costs one dictionary look-up, others one regex per pattern tried."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._static: dict[tuple[str, str], Handler] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Handler]]] = {}
        for route in routes:
            self._add(route)
        for method, pattern in operations.ALL:
            self._add(Route(method, pattern, _unbuilt(method, pattern)), last=True)

    def _add(self, route: Route, *, last: bool = False) -> None:
        if "{" not in route.pattern:
            key = (route.method, route.pattern)
            if key in self._static and not last:
                raise ValueError(f"two handlers for {route.method} {route.pattern}")
            self._static.setdefault(key, route.handler)
            return
        first = route.pattern.split("/", 2)[1]
        self._patterns.setdefault((route.method, first), []).append((_compile(route.pattern), route.handler))

    def match(self, method: str, target: str) -> Match:
        """The handler for a raw path; NotFound `page not found`, InvalidArgument for a version out of range."""
        given, path = split_version(target)
        handler, params = self._find(method, path)
        version = check_version(given) if given else MAXIMUM
        return Match(handler, path, params, version)

    def _find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        handler = self._static.get((method, path))
        if handler is not None:
            return handler, {}
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        for pattern, candidate in self._patterns.get((method, first), ()):
            if found := pattern.fullmatch(path):
                return candidate, {name: unquote(value) for name, value in found.groupdict().items()}
        raise NotFound("page not found")


def cleaned(target: str) -> str:
    """Where a path with `//`, `.` or `..` in it (as such or percent-encoded) leads; `` for any other."""
    if "//" not in target and "/." not in target and "%2" not in target:
        return ""
    path = unquote(target)
    clean = "/" + posixpath.normpath("/" + path).lstrip("/")
    if path.endswith("/") and clean != "/":
        clean += "/"
    return quote(clean, safe="/:@!$&'()*+,;=~") if clean != path else ""


def split_version(target: str) -> tuple[str, str]:
    """`/v1.44/info` as (`1.44`, `/info`); an unversioned path has the version ``."""
    found = _VERSION.fullmatch(target) if target.startswith("/v") else None
    return (found[1], found[2]) if found else ("", target)


def check_version(given: str) -> tuple[int, int]:
    """The version as numbers; InvalidArgument with Docker's texts when it is older or newer than we speak."""
    found = _NUMBERS.match(given)
    major, minor = (found[1], found[2] or "0") if found else ("0", "0")
    version = (int(major[:9]), int(minor[:9]))
    if version < MINIMUM:
        raise ClientTooOld(
            f"client version {given} is too old. Minimum supported API version is {dotted(MINIMUM)}, "
            "please upgrade your client to a newer version"
        )
    if version > MAXIMUM:
        raise InvalidArgument(f"client version {given} is too new. Maximum supported API version is {dotted(MAXIMUM)}")
    return version


def dotted(version: tuple[int, int]) -> str:
    """(1, 51) as `1.51`."""
    return f"{version[0]}.{version[1]}"


def _compile(pattern: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        return f"(?P<{found[1]}>.+)" if found[2] else f"(?P<{found[1]}>[^/]+)"

    parts = re.split(r"(\{\w+(?:\.\.\.)?\})", pattern)
    return re.compile(
        "".join(_PARAMETER.sub(group, part) if part.startswith("{") else re.escape(part) for part in parts)
    )


def _unbuilt(method: str, pattern: str) -> Handler:
    async def refuse(request: Request) -> Response:
        raise Unsupported(f"{method} {pattern} is not implemented by Holdfast yet")

    return refuse
