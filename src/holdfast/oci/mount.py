# SPDX-License-Identifier: Apache-2.0
"""The value in which storage meets execution: snapshots produce mounts, the runtime consumes them.

On the boot path: no dataclasses, no typing at run time. Source: OCI runtime-spec v1.2 §mounts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Mount:
    """One mount: type, source, target below the root, options as mount(8) spells them."""

    __slots__ = ("options", "source", "target", "type")

    def __init__(self, type: str, source: str, target: str, options: Sequence[str] = ()) -> None:  # noqa: A002
        self.type = type
        self.source = source
        self.target = target
        self.options = tuple(options)

    def to_json(self) -> dict[str, Any]:
        """The OCI object (`destination` is the target)."""
        return {
            "destination": self.target,
            "type": self.type,
            "source": self.source,
            "options": list(self.options),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Mount:
        """The reverse of `to_json`; absent keys are empty."""
        return cls(
            document.get("type") or "",
            document.get("source") or "",
            document["destination"],
            document.get("options") or (),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mount):
            return NotImplemented
        return (self.type, self.source, self.target, self.options) == (
            other.type,
            other.source,
            other.target,
            other.options,
        )

    def __hash__(self) -> int:
        return hash((self.type, self.source, self.target, self.options))

    def __repr__(self) -> str:
        return f"Mount({self.type!r}, {self.source!r}, {self.target!r}, {self.options!r})"
