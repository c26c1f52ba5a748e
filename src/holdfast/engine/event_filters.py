# SPDX-License-Identifier: Apache-2.0
"""Which events a subscriber asked for. Pure; called by `events` for each event.

Source: moby `daemon/events/filter.go`: values of one key are alternatives, keys are all required; objects match by id,
by name, or (image) by the name without its tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

# fmt: off
KEYS = frozenset((
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "type", "volume",
))
# fmt: on


class Fact(Protocol):
    """The members of an event that filters look at."""

    @property
    def type(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def scope(self) -> str: ...


def fits(event: Fact, filters: Mapping[str, list[str]]) -> bool:
    """True when every key has a value that the event matches; keys that Docker does not know are as if not there."""
    return all(_fits_key(event, key, values) for key, values in filters.items() if values and key in KEYS)


def _fits_key(event: Fact, key: str, values: list[str]) -> bool:
    match key:
        case "type":
            return event.type in values
        case "scope":
            return event.scope in values
        case "event":
            return event.action in values or event.action.partition(":")[0] in values
        case "label":
            return all(_has_label(event.attributes, value) for value in values)
        case "image":
            return _fits_image(event, values)
        case _:
            return event.type == key and _fits_object(event, values)


def _fits_object(event: Fact, values: list[str]) -> bool:
    name = event.attributes.get("name", "")
    return any(event.actor_id.startswith(value) or name.startswith(value) for value in values)


def _fits_image(event: Fact, values: list[str]) -> bool:
    names = [event.actor_id, event.attributes.get("name", "")] if event.type == "image" else []
    names.append(event.attributes.get("image", ""))
    return any(value in (name, _without_tag(name)) for name in names if name for value in values)


def _without_tag(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition("@")[0].partition(":")[0]


def _has_label(attributes: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in attributes and (not equals or attributes[key] == value)
