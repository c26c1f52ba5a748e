# SPDX-License-Identifier: Apache-2.0
"""The event log: replay, live, filters, slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from holdfast.engine import event_filters
from holdfast.engine.events import Event, Events

SECOND = 10**9


def ticking() -> Iterator[int]:
    now = 0
    while True:
        now += SECOND
        yield now


@pytest.fixture
def events() -> Events:
    clock = ticking()
    return Events(lambda: next(clock))


async def test_a_replay_ends_at_until(events: Events) -> None:
    for action in ("create", "start", "die"):
        events.publish("container", action, "c1", {"name": "web", "image": "i:1"})

    found = [event.action async for event in events.subscribe(2 * SECOND, 3 * SECOND, {})]

    assert found == ["start", "die"]


async def test_until_alone_replays_all_that_there_has_been(events: Events) -> None:
    for action in ("create", "start", "die"):
        events.publish("container", action, "c1", {})

    found = [event.action async for event in events.subscribe(None, 2 * SECOND, {})]

    assert found == ["create", "start"]


async def test_a_live_subscriber_gets_what_fits_and_is_forgotten(events: Events) -> None:
    stream = events.subscribe(None, None, {"type": ["volume"]})
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)

    events.publish("container", "start", "c1", {})
    events.publish("volume", "create", "v1", {"driver": "local"})

    assert (await first).actor_id == "v1"
    await stream.aclose()
    assert events.statistics() == {"kept": 2, "subscribers": 0}


def test_a_container_event_has_the_old_members_too() -> None:
    event = Event(
        type="container",
        action="die",
        actor_id="c1",
        attributes={"name": "web", "image": "i:1", "exitCode": "3"},
        scope="local",
        time_nanos=5 * SECOND + 7,
    )

    assert event.encode() == (
        b'{"status":"die","id":"c1","from":"i:1","Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":'
        b'{"exitCode":"3","image":"i:1","name":"web"}},"scope":"local","time":5,"timeNano":5000000007}\n'
    )


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True),
        ({"type": ["container", "image"]}, True),
        ({"type": ["image"]}, False),
        ({"event": ["health_status"]}, True),
        ({"event": ["health_status: healthy"]}, True),
        ({"event": ["die"]}, False),
        ({"container": ["web"]}, True),
        ({"container": ["c1"]}, True),
        ({"container": ["other"]}, False),
        ({"image": ["reg:5000/app"]}, True),
        ({"image": ["reg:5000/app:2"]}, True),
        ({"image": ["app"]}, False),
        ({"label": ["tier=front"]}, True),
        ({"label": ["tier=back"]}, False),
        ({"label": ["tier"], "type": ["container"]}, True),
        ({"volume": ["web"]}, False),
        ({"scope": ["local"]}, True),
    ],
)
def test_filters(filters: dict[str, list[str]], fits: bool) -> None:
    event = Event(
        type="container",
        action="health_status: healthy",
        actor_id="c1",
        attributes={"name": "web", "image": "reg:5000/app:2", "tier": "front"},
        scope="local",
        time_nanos=1,
    )

    assert event_filters.fits(event, filters) is fits


def test_an_unknown_filter_says_nothing() -> None:
    event = Event(type="image", action="pull", actor_id="i", attributes={}, scope="local", time_nanos=1)

    assert event_filters.fits(event, {"foo": ["x"], "type": ["image"]})
    assert not event_filters.fits(event, {"foo": ["x"], "type": ["volume"]})
