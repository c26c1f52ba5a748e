# SPDX-License-Identifier: Apache-2.0
"""What a user wants of a container's networks: which ones, under which key, in the network package's words. Pure.

Called by `container_network` and by the jobs create and connect. Source: moby 28 `daemon/container_operations.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from holdfast.containers import links, namespace_modes
from holdfast.containers.config import Config, EndpointIPAM, EndpointSettings, HostConfig
from holdfast.errors import InvalidArgument
from holdfast.networks import EndpointSettings as EndpointWish

_DEFAULT = "bridge"
_OTHER_MAC = (
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"
)


def of_container(
    config: Config,
    host: HostConfig,
    given: Mapping[str, EndpointSettings],
    check: Callable[[EndpointWish], object],
) -> dict[str, EndpointSettings]:
    """The networks that inspect shows before the first start, the mode's own first; `check` raises InvalidArgument."""
    mode = host.network_mode
    if namespace_modes.joined_container(mode) is not None or config.network_disabled:
        return {}
    wishes = {(_DEFAULT if name == "default" else name): wish.wish() for name, wish in given.items()}
    if not wishes or (mode not in wishes and mode not in (_DEFAULT, "host", "none")):
        wishes[mode] = EndpointSettings()
    own = wishes.get(mode)
    if config.mac_address and own is not None:
        if own.mac_address not in ("", config.mac_address):
            raise InvalidArgument(_OTHER_MAC)
        own.mac_address = own.desired_mac = config.mac_address
    for name, wish in wishes.items():
        try:
            check(of_settings(name, wish))
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid config for network {name}: {error.message}") from None
    return {name: wishes[name] for name in sorted(wishes, key=lambda name: name != mode)}


def of_settings(name: str, settings: EndpointSettings, host: HostConfig | None = None) -> EndpointWish:
    """What was asked of one network. `--link` counts in the network that the container was made for, if it has names."""
    chosen = settings.ipam_config or EndpointIPAM()
    own = (host.links or ()) if host and name == host.network_mode != _DEFAULT else ()
    linked = dict.fromkeys([*(settings.links or ()), *own])
    return EndpointWish(
        network=name,
        ip_address=chosen.ipv4_address,
        ipv6_address=chosen.ipv6_address,
        link_local_addresses=tuple(chosen.link_local_ips or ()),
        mac=settings.desired_mac,
        aliases=tuple(settings.aliases or ()),
        links=tuple(link(text) for text in linked),
        driver_options=tuple((settings.driver_opts or {}).items()),
        gateway_priority=settings.gw_priority,
    )


def link(text: str) -> tuple[str, str]:
    """`NAME[:ALIAS]` as (alias, name)."""
    name, _, alias = text.partition(":")
    if not text:
        raise InvalidArgument("empty string specified for links")
    if ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    return links.split(text)[0], name.lstrip("/")


def find(name: str, network_id: str, wishes: Mapping[str, EndpointSettings]) -> EndpointSettings | None:
    """The wish for a network, which may have been written as its id, or a part of it."""
    key = key_for(name, network_id, wishes)
    return None if key is None else wishes[key]


def key_for(name: str, network_id: str, wishes: Iterable[str]) -> str | None:
    """Under which key a container's record knows a network."""
    keys = list(wishes)
    if name in keys:
        return name
    return next((key for key in keys if key and network_id.startswith(key)), None)
