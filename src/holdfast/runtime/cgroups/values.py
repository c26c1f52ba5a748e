# SPDX-License-Identifier: Apache-2.0
"""Reading OCI `linux.resources` and the kernel's answers: typed looks into untyped JSON, and flat-keyed files.

Pure; used by every controller module. A value of the wrong type is the caller's mistake (InvalidArgument naming it).
"""

from __future__ import annotations

from holdfast.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Resources = Mapping[str, Any]
    Writes = list[tuple[str, str]]
    Read = Callable[[str], str | None]


def section(resources: Resources, name: str) -> Resources:
    """`resources[name]` as an object; empty when absent or null."""
    found: Resources | None = resources.get(name)
    if found is None:
        return {}
    if not _is(dict, found):
        raise InvalidArgument(f"invalid resources: {name} is not an object")
    return found


def entries(resources: Resources, name: str) -> list[Resources]:
    """`resources[name]` as a list of objects; empty when absent or null."""
    found: list[Resources] | None = resources.get(name)
    if found is None:
        return []
    if not _is(list, found) or not all(_is(dict, each) for each in found):
        raise InvalidArgument(f"invalid resources: {name} is not a list of objects")
    return found


def integer(resources: Resources, name: str) -> int | None:
    """`resources[name]` as an integer; None when absent or null."""
    found = resources.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int):
        raise InvalidArgument(f"invalid resources: {name} is not an integer: {found!r}")
    return found


def text(resources: Resources, name: str) -> str:
    """`resources[name]` as a string; empty when absent or null."""
    found = resources.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise InvalidArgument(f"invalid resources: {name} is not a string: {found!r}")
    return found


def limit(number: int) -> str:
    """A v2 limit: `max` for a negative number."""
    return "max" if number < 0 else str(number)


def device(entry: Resources) -> str:
    """`MAJOR:MINOR` of a blockIO entry."""
    return f"{integer(entry, 'major') or 0}:{integer(entry, 'minor') or 0}"


def flat_keyed(content: str | None) -> dict[str, int]:
    """A `KEY NUMBER` file (memory.stat, cpu.stat); lines of another shape are left out."""
    words = (content or "").split()
    try:
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))
    except ValueError:
        pairs = [line.partition(" ") for line in (content or "").splitlines()]
        return {key: int(number) for key, _, number in pairs if number.isdigit()}


def number(content: str | None) -> int:
    """A single-number file; 0 when it is absent, the largest unsigned 64-bit number for `max` (as runc shows it)."""
    if content is None or content == "":
        return 0
    return 2**64 - 1 if content == "max" else int(content)


def page_size(entry: Resources) -> str:
    """The page size of a hugepage limit; it becomes part of a file name, so only `2MB`-like words pass."""
    size = text(entry, "pageSize")
    if not size.isalnum():
        raise InvalidArgument(f"invalid hugepage size {size!r}")
    return size


def _is(kind: type, found: object) -> bool:
    return isinstance(found, kind)
