# SPDX-License-Identifier: Apache-2.0
"""`docker ps`: which containers, in which order. Called by `api.routes.containers`; no blocking, no copy.

Source: Engine API v1.51 ContainerList, moby 28 `daemon/list.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from holdfast import images
from holdfast.containers import Container, Containers, lifecycle, ports
from holdfast.engine import filtering
from holdfast.errors import HoldfastError, InvalidArgument, NotFound

KEYS = frozenset(
    (
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    )
)
_HEALTH = ("starting", "healthy", "unhealthy", "none")

Test = Callable[[Container], bool]


def list_containers(
    *,
    containers: Containers,
    pictures: images.Store,
    filters: Mapping[str, Sequence[str]],
    is_all: bool = False,
    limit: int = 0,
) -> list[Container]:
    """The newest first; running ones only, unless something says otherwise. InvalidArgument for wrong filters."""
    filtering.check(filters, KEYS)
    tests = _tests(containers, pictures, filters)
    shows_all = is_all or limit > 0 or bool(filters.get("status"))
    found = sorted(containers, key=lambda container: container.record.created_nanos, reverse=True)
    chosen = [
        container
        for container in found
        if (shows_all or container.state.is_running) and all(test(container) for test in tests)
    ]
    return chosen[:limit] if limit > 0 else chosen


def image_names(pictures: images.Store, containers: Iterable[Container]) -> dict[str, str]:
    """By container what its image is called: as its user called it, or its id once that name is another's or nobody's."""
    meant: dict[str, str] = {}
    found: dict[str, str] = {}
    for container in containers:
        name, image_id = container.record.config.image, container.record.image_id
        if name not in meant:
            try:
                meant[name] = str(pictures.resolve(name))
            except HoldfastError:
                meant[name] = ""
        found[container.id] = name if meant[name] == image_id else image_id
    return found


def _tests(containers: Containers, pictures: images.Store, filters: Mapping[str, Sequence[str]]) -> list[Test]:
    builders: dict[str, Callable[[Sequence[str]], Test]] = {
        "id": lambda values: _ids(containers, values),
        "name": lambda values: lambda c: filtering.is_match(c.name, values) or filtering.is_match(f"/{c.name}", values),
        "label": lambda values: lambda c: filtering.has_labels(c.record.config.labels, values),
        "status": _status,
        "exited": _exited,
        "health": _health,
        "before": lambda values: _time(containers, values, older=True),
        "since": lambda values: _time(containers, values, older=False),
        "volume": lambda values: (
            lambda c: any((p.name or p.source) in values or p.destination in values for p in c.record.mounts)
        ),
        "network": _network,
        "ancestor": lambda values: _ancestor(pictures, values),
        "publish": lambda values: _port(values, filters.get("expose", ())),
        "expose": lambda values: _port(filters.get("publish", ()), values),
        "is-task": lambda _values: lambda c: not filtering.boolean(filters, "is-task", None),
        "isolation": lambda values: lambda c: "default" in values,
    }
    return [builders[key](values) for key, values in filters.items() if values]


def _ids(containers: Containers, values: Sequence[str]) -> Test:
    """A prefix stands for the one container that it names; one of several stands for none."""
    found = [[c.id for c in containers if value and c.id.startswith(value)] for value in values]
    wanted = {ids[0] for ids in found if len(ids) == 1}
    return lambda container: container.id in wanted


def _status(values: Sequence[str]) -> Test:
    for value in values:
        if value not in lifecycle.STATES:
            raise InvalidArgument(
                f"invalid filter 'status={value}': invalid value for state ({value}): must be one of "
                + ", ".join(lifecycle.STATES)
            )
    return lambda container: container.state.status in values


def _exited(values: Sequence[str]) -> Test:
    codes: set[int] = set()
    for value in values:
        if not value.removeprefix("-").isdigit():
            raise InvalidArgument(f"invalid filter 'exited={value}'")
        codes.add(int(value))
    return lambda container: (
        container.state.exit_code in codes and not container.state.is_running and container.state.finished_nanos != 0
    )


def _health(values: Sequence[str]) -> Test:
    for value in values:
        if value not in _HEALTH:
            raise InvalidArgument(f"invalid filter 'health={value}'")
    return lambda container: (container.state.health.status if container.state.health else "none") in values


def _time(containers: Containers, values: Sequence[str], *, older: bool) -> Test:
    try:
        pivot = containers.find(values[0])
    except NotFound as error:
        raise NotFound(error.message) from None
    moment = pivot.record.created_nanos
    if older:
        return lambda container: container is not pivot and container.record.created_nanos <= moment
    return lambda container: container is not pivot and container.record.created_nanos >= moment


def _network(values: Sequence[str]) -> Test:
    return lambda container: any(
        name in values or any(e.network_id and e.network_id.startswith(v) for v in values)
        for name, e in container.record.network.endpoints.items()
    )


def _ancestor(pictures: images.Store, values: Sequence[str]) -> Test:
    """The image itself, or one that was made from it: its layers begin with the ancestor's."""
    wanted: list[tuple[str, tuple[str, ...]]] = []
    for value in values:
        try:
            image = pictures.get(value)
        except HoldfastError:
            continue
        wanted.append((image.id, image.layers))

    def test(container: Container) -> bool:
        if any(container.record.image_id == image_id for image_id, _ in wanted):
            return True
        try:
            layers = pictures.get(container.record.image_id).layers
        except HoldfastError:
            return False
        return any(base and layers[: len(base)] == base for _, base in wanted)

    return test


def _port(published: Sequence[str], exposed: Sequence[str]) -> Test:
    """A port of the host that leads to it, or one that it listens on; of both filters one is enough."""
    of_host, inside = _port_set(published), _port_set(exposed)

    def test(container: Container) -> bool:
        record = container.record
        if not record.state.has_process or not record.network.shows_ports:
            return False
        bound = record.network.ports
        own = {(port.container_port, port.protocol) for port in bound} | set(
            ports.iter_exposed(record.config.exposed_ports)
        )
        return any((port.host_port, port.protocol) in of_host for port in bound) or bool(own & inside)

    return test


def _port_set(values: Sequence[str]) -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for value in values:
        number, _, protocol = value.partition("/")
        low, high = ports.parse_range(number)
        found.update((port, protocol or "tcp") for port in range(low, high + 1))
    return found
