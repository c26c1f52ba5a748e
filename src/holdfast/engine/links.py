# SPDX-License-Identifier: Apache-2.0
"""Links in the default bridge, which has no names of its own: entries of /etc/hosts and environment variables.

Called by `container_network` and `surroundings` at every start. In other networks a link is an alias that the resolver
knows (`endpoint_wishes`). Source: moby 28 `daemon/container_operations_unix.go`.
"""

from __future__ import annotations

from holdfast.containers import Container, Record, link_environment, namespace_modes, ports
from holdfast.engine import endpoint_wishes
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, InvalidArgument, NotFound

_DEFAULT = "bridge"


def hosts(packages: Packages, record: Record) -> list[str]:
    """`NAMES:ADDRESS` of every linked container; Conflict for one that does not run."""
    found: list[str] = []
    for alias, other, address in _linked(packages, record):
        names = dict.fromkeys((alias, other.record.config.hostname, other.name))
        found.append(f"{' '.join(name for name in names if name)}:{address}")
    return found


def linked_ids(packages: Packages, record: Record) -> tuple[str, ...]:
    """The ids of all linked containers; Conflict for one that does not run."""
    return tuple(other.record.id for _alias, other, _address in _linked(packages, record))


def environment(packages: Packages, record: Record) -> list[str]:
    """What the links put into the environment."""
    found: list[str] = []
    for alias, other, address in _linked(packages, record):
        config = other.record.config
        found += link_environment.render(
            alias=alias,
            own_name=record.name,
            address=address,
            exposed=ports.iter_exposed(config.exposed_ports),
            environment=config.env or (),
        )
    return found


def network_owner(packages: Packages, container: Container) -> Container:
    """Whose network a container has in the end, through all that joined others; the last that is known still."""
    seen: set[str] = set()
    while (reference := namespace_modes.joined_container(container.record.host_config.network_mode)) is not None:
        seen.add(container.id)
        try:
            container = packages.containers.find(reference)
        except NotFound:
            break
        if container.id in seen:
            raise InvalidArgument(f"the network modes of container {container.id} lead in a circle")
    return container


def _linked(packages: Packages, record: Record) -> list[tuple[str, Container, str]]:
    """Every link as (alias, container, its address in the default bridge)."""
    found: list[tuple[str, Container, str]] = []
    if _DEFAULT not in record.network.endpoints:
        return found
    for text in record.host_config.links or ():
        alias, reference = endpoint_wishes.link(text)
        other = network_owner(packages, packages.containers.find(reference))
        if not other.state.has_process:
            raise Conflict(f"Cannot link to a non running container: /{other.name} AS /{alias}")
        endpoint = other.record.network.endpoints.get(_DEFAULT)
        if endpoint is None:
            raise Conflict(f"container {other.id} not attached to default bridge network")
        if endpoint.ip_address:
            found.append((alias, other, endpoint.ip_address))
    return found
