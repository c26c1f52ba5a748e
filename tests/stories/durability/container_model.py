# SPDX-License-Identifier: Apache-2.0
"""What may become of containers when calls on the same names overlap. Pure: knows no daemon.

A call is a row of steps, each of which happens at one moment; the steps of the calls of one batch may happen in any
order, each call's own in theirs. `explain` walks through all orders and returns the worlds in which the answers that
were really given are the ones the steps give. A call without an answer (its daemon was killed) may have stopped before
any of its steps. Called by `test_model`. Source: the rules in `holdfast.containers.container`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

CREATED, RUNNING, PAUSED, EXITED, MAKING, GONE = "created", "running", "paused", "exited", "making", "gone"
ALIVE = (RUNNING, PAUSED)


class Box(NamedTuple):
    """One container: `ends` counts how often its process has ended in this batch."""

    status: str
    is_leaving: bool = False
    ends: int = 0


class World(NamedTuple):
    """All containers by id, and the ids by name."""

    boxes: frozenset[tuple[str, Box]] = frozenset()
    names: frozenset[tuple[str, str]] = frozenset()

    def box(self, identity: str) -> Box:
        return dict(self.boxes)[identity]

    def holder(self, name: str) -> str | None:
        return dict(self.names).get(name)

    def found(self, name: str) -> str | None:
        """The container that a call by this name means now."""
        identity = self.holder(name)
        return None if identity is None or self.box(identity).status == MAKING else identity

    def put(self, identity: str, box: Box) -> World:
        return self._replace(boxes=frozenset({**dict(self.boxes), identity: box}.items()))

    def named(self, name: str, identity: str) -> World:
        return self._replace(names=frozenset({**dict(self.names), name: identity}.items()))

    def unnamed(self, identity: str) -> World:
        return self._replace(names=frozenset((n, i) for n, i in self.names if i != identity))

    def ended(self, identity: str) -> World:
        box = self.box(identity)
        return self.put(identity, box._replace(status=EXITED, ends=box.ends + 1)) if box.status in ALIVE else self


class Call(NamedTuple):
    """A request; `identity` is the id of what a create has made, or a stand-in; `answer` its status (None: unheard)."""

    verb: str
    name: str
    other: str = ""
    identity: str = ""
    answer: int | None = None


class Step(NamedTuple):
    """Where a call stands after a step: the world, what it remembers, and its answer when it has ended."""

    world: World
    memory: tuple[str, int] = ("", 0)
    answer: int | None = None


Steps = Callable[[Call, World, tuple[str, int]], Iterator[Step]]


def _bind(call: Call, world: World, _: tuple[str, int]) -> Iterator[Step]:
    identity = world.found(call.name)
    if identity is None:
        yield Step(world, answer=404)
    else:
        yield Step(world, (identity, world.box(identity).ends))


def _bind_living(when_dead: int) -> Steps:
    def step(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
        for bound in _bind(call, world, memory):
            if bound.answer is None and world.box(bound.memory[0]).status not in ALIVE:
                yield Step(world, answer=when_dead)
            else:
                yield bound

    return step


def _thaw(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    """A frozen process does not hear the signal: it runs for a moment, which others may see."""
    box = world.box(memory[0])
    yield Step(world.put(memory[0], box._replace(status=RUNNING)) if box.status == PAUSED else world, memory)


def _end(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    yield Step(world.ended(memory[0]), memory)
    if world.box(memory[0]).ends > memory[1]:  # the end that this call waited for has been another's
        yield Step(world, memory)


def _end_if_living(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    yield from _end(call, world, memory)
    if world.box(memory[0]).status not in ALIVE:
        yield Step(world, memory)


def _answer(code: int) -> Steps:
    def step(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
        yield Step(world, memory, code)

    return step


def _reserve(call: Call, world: World, _: tuple[str, int]) -> Iterator[Step]:
    if world.holder(call.name) is not None:
        yield Step(world, answer=409)
    elif call.answer in (201, None):
        yield Step(world.put(call.identity, Box(MAKING)).named(call.name, call.identity), (call.identity, 0))


def _make(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    yield Step(world.put(memory[0], Box(CREATED)), memory, 201)


def _start(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    box = world.box(memory[0])
    if box.is_leaving:
        yield Step(world, memory, 409)
        yield Step(world, memory, 404)  # a restart asks for it by its id again
    elif box.status in (CREATED, EXITED):
        yield Step(world.put(memory[0], box._replace(status=RUNNING)), memory, 204)
    else:
        yield Step(world, memory, 409 if box.status == PAUSED else 204 if call.verb == "restart" else 304)


def _turn(before: str, after: str) -> Steps:
    def step(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
        box = world.box(memory[0])
        if box.status == before:
            yield Step(world.put(memory[0], box._replace(status=after)), memory, 204)
        else:
            yield Step(world, memory, 409)

    return step


def _rename(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    if world.holder(call.other) == memory[0]:
        yield Step(world, memory, 400)
    elif world.box(memory[0]).is_leaving or world.holder(call.other) is not None:
        yield Step(world, memory, 409)
    else:
        yield Step(world.unnamed(memory[0]).named(call.other, memory[0]), memory, 204)


def _update(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    yield Step(world, memory, 409 if world.box(memory[0]).is_leaving else 200)


def _exec(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    yield Step(world, memory, 200 if world.box(memory[0]).status == RUNNING else 409)


def _refuse_living(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    box = world.box(memory[0])
    if box.is_leaving or box.status in ALIVE:
        yield Step(world, memory, 409)
    else:
        yield Step(world.put(memory[0], box._replace(is_leaving=True)), memory)


def _leave(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    box = world.box(memory[0])
    if box.is_leaving:
        yield Step(world, memory, 409)
    else:
        yield Step(world.put(memory[0], box._replace(is_leaving=True)), memory)


def _go(call: Call, world: World, memory: tuple[str, int]) -> Iterator[Step]:
    gone = world.box(memory[0])._replace(status=GONE)
    yield Step(world.put(memory[0], gone).unnamed(memory[0]), memory, 204)


VERBS: Mapping[str, Sequence[Steps]] = {
    "create": (_reserve, _make),
    "start": (_bind, _start),
    "stop": (_bind_living(304), _thaw, _end, _answer(204)),
    "kill": (_bind_living(409), _thaw, _end, _answer(204)),
    "restart": (_bind, _thaw, _end_if_living, _start),
    "pause": (_bind, _turn(RUNNING, PAUSED)),
    "unpause": (_bind, _turn(PAUSED, RUNNING)),
    "rename": (_bind, _rename),
    "update": (_bind, _update),
    "exec": (_bind, _exec),
    "rm": (_bind, _refuse_living, _go),
    "rm -f": (_bind, _leave, _thaw, _end_if_living, _go),
}


class _Place(NamedTuple):
    """How far one call has come."""

    step: int = 0
    memory: tuple[str, int] = ("", 0)
    is_over: bool = False


def explain(world: World, calls: Sequence[Call]) -> set[World]:
    """Every world that the calls may have led to, given their answers; empty when the answers cannot be explained."""
    start = (world, tuple(_Place() for _ in calls))
    seen = {start}
    left = [start]
    ends: set[World] = set()
    while left:
        here, places = left.pop()
        if all(place.is_over or call.answer is None for place, call in zip(places, calls, strict=True)):
            ends.update(settled(here))
        for number, (place, call) in enumerate(zip(places, calls, strict=True)):
            if place.is_over:
                continue
            for step in VERBS[call.verb][place.step](call, here, place.memory):
                if step.answer is not None and call.answer is not None and step.answer != call.answer:
                    continue
                after = _Place(place.step + 1, step.memory, step.answer is not None)
                state = (step.world, (*places[:number], after, *places[number + 1 :]))
                if state not in seen:
                    seen.add(state)
                    left.append(state)
    return ends


def settled(world: World) -> Iterator[World]:
    """As it may be when nothing goes on any more.

    What a killed daemon had half made is gone; what it was removing is gone, or is there as it was then.
    """
    leaving = [identity for identity, box in world.boxes if box.is_leaving and box.status not in (*ALIVE, GONE)]
    for count in range(len(leaving) + 1):
        for gone in combinations(leaving, count):
            kept = {
                identity: Box(box.status)
                for identity, box in world.boxes
                if box.status not in (MAKING, GONE) and identity not in gone
            }
            yield World(frozenset(kept.items()), frozenset((n, i) for n, i in world.names if i in kept))


def shown(world: World, known: frozenset[str]) -> frozenset[tuple[str, str, str]]:
    """What a listing says: names with id and status; an id that nobody was told of is a question mark."""
    boxes = dict(world.boxes)
    return frozenset((name, each if each in known else "?", boxes[each].status) for name, each in world.names)


def of_listing(entries: Iterable[tuple[str, str, str]]) -> World:
    """The world that a listing of (id, name, status) shows."""
    found = list(entries)
    return World(
        frozenset((identity, Box(status)) for identity, _, status in found),
        frozenset((name, identity) for identity, name, _ in found),
    )
