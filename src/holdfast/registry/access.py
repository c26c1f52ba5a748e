# SPDX-License-Identifier: Apache-2.0
"""Who may do what at this registry: everybody, the users of an htpasswd file, or the bearers of tokens.

A decision is about one request and its scopes. Called by `registry.server` before a handler runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from holdfast.registry.refusals import Refusal

PULL, PUSH, DELETE = "pull", "push", "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a request wants: an action on a repository (`kind` repository) or on the catalogue (`registry`)."""

    kind: str
    name: str
    action: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{self.action}"


class Gate(Protocol):
    """One way to decide."""

    def admit(self, authorization: str, wanted: list[Scope]) -> list[Scope]:
        """Returns the scopes granted; Refusal UNAUTHORIZED, with a challenge, when the first wanted one is not."""
        ...


class OpenGate:
    """Everybody may do everything."""

    def admit(self, authorization: str, wanted: list[Scope]) -> list[Scope]:
        """See Gate."""
        return wanted


def unauthorized(challenge: str, message: str = "authentication required") -> Refusal:
    """401 with what the client is to do about it."""
    return Refusal("UNAUTHORIZED", message, headers={"WWW-Authenticate": challenge})
