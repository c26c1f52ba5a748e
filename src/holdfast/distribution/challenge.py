# SPDX-License-Identifier: Apache-2.0
"""Parsing of `WWW-Authenticate`: what a registry asks for before it answers.

Pure. A header that cannot be read yields the challenges before the fault, never an exception: the text is a
stranger's. Called by `distribution.auth`. Source: RFC 9110 §11.6.1, distribution "Token Authentication".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEADER_MAX_LENGTH = 8192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|\s*$|\s*,)", re.ASCII)
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|$)', re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme (lower case) with its parameters (names in lower case)."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def realm(self) -> str:
        """Where the token is to be had (bearer)."""
        return self.parameters.get("realm", "")

    @property
    def service(self) -> str:
        """The registry's own name at the token server."""
        return self.parameters.get("service", "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token must allow, for example `repository:library/alpine:pull`."""
        return tuple(self.parameters.get("scope", "").split())


def parse(header: str) -> list[Challenge]:
    """Every challenge of one header value, in order."""
    challenges: list[Challenge] = []
    text = header[:HEADER_MAX_LENGTH]
    position = 0
    while match := _SCHEME.match(text, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(text, position):
            quoted, plain = found[2], found[3]
            parameters[found[1].lower()] = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted)
            position = found.end()
        challenges.append(Challenge(scheme=match[1].lower(), parameters=parameters))
    return challenges
