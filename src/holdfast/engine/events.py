# SPDX-License-Identifier: Apache-2.0
"""What happened, for whoever wants to know: a ring of the latest events and live subscribers.

Jobs publish; `api.routes.system` subscribes. Publishing costs microseconds and never waits: a subscriber that does not
read loses the oldest events beyond its bound. Knows no HTTP. Source: Engine API v1.51 SystemEvents; moby `daemon/events`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from holdfast.engine import event_filters

RING = 1024
BACKLOG = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact: `type` is a noun (container, image, …), `action` Docker's verb, with details after `: `."""

    type: str
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    scope: str
    time_nanos: int

    def to_json(self) -> dict[str, object]:
        """Docker's object; containers and images keep the old members `status`, `id`, `from` too."""
        document: dict[str, object] = {}
        if self.type in ("container", "image"):
            document = {"status": self.action, "id": self.actor_id}
            if self.type == "container" and self.attributes.get("image"):
                document["from"] = self.attributes["image"]
        document |= {
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.actor_id, "Attributes": dict(sorted(self.attributes.items()))},
            "scope": self.scope,
            "time": self.time_nanos // 1_000_000_000,
            "timeNano": self.time_nanos,
        }
        return document

    def encode(self) -> bytes:
        """The object as one line."""
        return msgspec.json.encode(self.to_json()) + b"\n"


class _Subscriber:
    __slots__ = ("backlog", "filters", "is_own", "wake")

    def __init__(self, filters: Mapping[str, list[str]], *, is_own: bool) -> None:
        self.filters = filters
        self.is_own = is_own
        self.backlog: deque[Event] = deque(maxlen=BACKLOG)
        self.wake = asyncio.Event()


class Events:
    """The daemon's one event log; belongs to the loop's thread."""

    def __init__(self, now_nanos: Callable[[], int] = time.time_ns) -> None:
        self._now_nanos = now_nanos
        self._ring: deque[Event] = deque(maxlen=RING)
        self._subscribers: set[_Subscriber] = set()

    def publish(
        self,
        type: str,  # noqa: A002
        action: str,
        actor_id: str,
        attributes: Mapping[str, str],
        scope: str = "local",
    ) -> None:
        """Remembers the event and hands it to every subscriber that it fits."""
        event = Event(
            type=type,
            action=action,
            actor_id=actor_id,
            attributes=attributes,
            scope=scope,
            time_nanos=self._now_nanos(),
        )
        self._ring.append(event)
        for subscriber in self._subscribers:
            if event_filters.fits(event, subscriber.filters):
                subscriber.backlog.append(event)
                subscriber.wake.set()

    async def subscribe(
        self,
        since_nanos: int | None,
        until_nanos: int | None,
        filters: Mapping[str, list[str]],
        *,
        is_own: bool = False,
    ) -> AsyncIterator[Event]:
        """Events from `since` (of those still in the ring), then live ones until `until`.

        Without `since` there is no replay, but with `until` alone all that there has been by then. The subscription
        begins at the call of the first `anext`. An `until` in the past ends after the replay.
        """
        subscriber = _Subscriber(filters, is_own=is_own)
        if since_nanos is not None or until_nanos is not None:
            since = since_nanos or 0
            subscriber.backlog.extend(
                event for event in self._ring if event.time_nanos >= since and event_filters.fits(event, filters)
            )
        self._subscribers.add(subscriber)
        try:
            while True:
                while subscriber.backlog:
                    event = subscriber.backlog.popleft()
                    if until_nanos is not None and event.time_nanos > until_nanos:
                        return
                    yield event
                left = None if until_nanos is None else (until_nanos - self._now_nanos()) / 1e9
                if left is not None and left <= 0:
                    return
                subscriber.wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(subscriber.wake.wait(), left)
        finally:
            self._subscribers.discard(subscriber)

    def statistics(self) -> dict[str, int]:
        """How many events are kept and how many subscribers listen, without the daemon's own."""
        clients = sum(1 for subscriber in self._subscribers if not subscriber.is_own)
        return {"kept": len(self._ring), "subscribers": clients}
