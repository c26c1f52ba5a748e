# SPDX-License-Identifier: Apache-2.0
"""Between a container's record and the network package: what to ask for, and what to write down of what it got.

Called by the jobs that start, connect, disconnect and end containers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.containers import Container, Record, namespace_modes, ports
from holdfast.containers.config import EndpointSettings
from holdfast.containers.record import NetworkState, PublishedPort
from holdfast.engine import endpoint_wishes, links, surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import InvalidArgument
from holdfast.networks import Attachment, ConnectRequest, Endpoint, PortBinding
from holdfast.networks import EndpointSettings as EndpointWish

_NO_IPV6 = "net.ipv6.conf.all.disable_ipv6"


def request_of(packages: Packages, container: Container) -> tuple[ConnectRequest, int | None]:
    """The whole wish, and the pid of the container whose network is joined; InvalidArgument, Conflict."""
    record = container.record
    config, host = record.config, record.host_config
    joined_id = namespace_modes.joined_container(host.network_mode)
    joined_pid: int | None = None
    directory = packages.config.container_directory(record.id)
    if joined_id is not None:
        if joined_id in (record.id, record.name):
            raise InvalidArgument("cannot join own network namespace")
        other = surroundings.running(packages, joined_id, "network")
        joined_pid = other.state.pid
        directory = packages.config.container_directory(links.network_owner(packages, other).id)
    wishes = tuple(_endpoint_wishes(packages, record))
    request = ConnectRequest(
        container_id=record.id,
        name=record.name,
        hostname=config.hostname,
        domainname=config.domainname,
        mode=host.network_mode,
        directory=directory,
        ports=tuple(_port_wishes(record)) if wishes else (),
        dns=tuple(host.dns or ()),
        dns_search=tuple(host.dns_search or ()),
        dns_options=tuple(host.dns_options or ()),
        extra_hosts=(*(host.extra_hosts or ()), *links.hosts(packages, record)),
        mac=config.mac_address,
        linked=links.linked_ids(packages, record),
        exposed=tuple(_exposed(record)),
        endpoints=wishes,
        ipv6=(host.sysctls or {}).get(_NO_IPV6) != "1",
    )
    return request, joined_pid


def _endpoint_wishes(packages: Packages, record: Record) -> Iterator[EndpointWish]:
    """None for a default bridge that the daemon does without (`--bridge none`): the container has its loopback."""
    for name, settings in record.network.endpoints.items():
        if name != "bridge" or packages.networks.controller.has_default_bridge:
            yield endpoint_wishes.of_settings(name, settings, record.host_config)


def _exposed(record: Record) -> Iterator[tuple[int, str]]:
    """What a linked container may reach: ports that the image or the user named, published or not."""
    named = {**(record.config.exposed_ports or {}), **(record.host_config.port_bindings or {})}
    yield from ports.iter_exposed(named)


def _port_wishes(record: Record) -> Iterator[PortBinding]:
    host = record.host_config
    if host.network_mode in ("host", "none") or host.network_mode.startswith("container:"):
        return
    bound: set[tuple[int, str]] = set()
    exposed = set(ports.iter_exposed(record.config.exposed_ports))
    for text, wishes in (host.port_bindings or {}).items():
        port, protocol = ports.parse(text)
        for wish in (wishes or ()) if (port, protocol) in exposed else ():
            bound.add((port, protocol))
            low, high = ports.parse_range(wish.host_port)
            yield PortBinding(
                container_port=port, protocol=protocol, host_ip=wish.host_ip, host_port_start=low, host_port_end=high
            )
    if host.publish_all_ports:
        for port, protocol in ports.iter_exposed(record.config.exposed_ports):
            if (port, protocol) not in bound:
                yield PortBinding(container_port=port, protocol=protocol)


def state_of(record: Record, attachment: Attachment) -> NetworkState:
    """What inspect shows of a container with a network: its wishes, and what it got."""
    is_in_host = record.host_config.network_mode == "host"
    return NetworkState(
        sandbox_id=attachment.sandbox_id,
        sandbox_key=(attachment.netns_path or ("/proc/1/ns/net" if is_in_host else ""))
        if attachment.sandbox_id
        else "",
        ports=[
            PublishedPort(
                container_port=port.container_port,
                protocol=port.protocol,
                host_ip=port.host_ip,
                host_port=port.host_port,
            )
            for port in attachment.ports
        ],
        endpoints={
            **_without(attachment, record.network.endpoints),
            **{each.network_name: _settled(each, record.network.endpoints) for each in attachment.endpoints},
        },
        hosts_path=str(attachment.hosts_path or ""),
        resolv_conf_path=str(attachment.resolv_conf_path or ""),
        hostname_path=str(attachment.hostname_path or ""),
        shows_ports=any(each.driver == "bridge" for each in attachment.endpoints),
    )


def _without(attachment: Attachment, wishes: Mapping[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """The wishes that led to nothing, which stay wishes."""
    met = {endpoint_wishes.key_for(each.network_name, each.network_id, wishes) for each in attachment.endpoints}
    return {name: wish for name, wish in wishes.items() if name not in met}


def _settled(endpoint: Endpoint, wishes: Mapping[str, EndpointSettings]) -> EndpointSettings:
    wish = endpoint_wishes.find(endpoint.network_name, endpoint.network_id, wishes) or EndpointSettings()
    return EndpointSettings(
        ipam_config=wish.ipam_config,
        links=wish.links,
        aliases=wish.aliases,
        driver_opts=wish.driver_opts,
        gw_priority=wish.gw_priority,
        desired_mac=wish.desired_mac,
        mac_address=endpoint.mac,
        network_id=endpoint.network_id,
        endpoint_id=endpoint.endpoint_id,
        gateway=endpoint.gateway,
        ip_address=endpoint.ip_address,
        ip_prefix_len=endpoint.prefix_length,
        ipv6_gateway=endpoint.ipv6_gateway,
        global_ipv6_address=endpoint.ipv6_address,
        global_ipv6_prefix_len=endpoint.ipv6_prefix_length,
        dns_names=list(endpoint.dns_names) or None,
    )


def forget(record: Record) -> None:
    """What inspect shows of a stopped container: the wish stays, what it got goes."""
    network = record.network
    network.sandbox_id = network.sandbox_key = ""
    network.ports = []
    for endpoint in network.endpoints.values():
        endpoint.endpoint_id = endpoint.gateway = endpoint.ip_address = endpoint.mac_address = ""
        endpoint.ipv6_gateway = endpoint.global_ipv6_address = ""
        endpoint.ip_prefix_len = endpoint.global_ipv6_prefix_len = 0


def publish_event(packages: Packages, action: str, endpoint: Endpoint | EndpointSettings, container_id: str) -> None:
    """`connect` and `disconnect`, which tell the network's name and driver."""
    network = packages.networks.controller.known(endpoint.network_id)
    name, driver = (network.name, network.driver) if network else ("", "")
    attributes = {"container": container_id, "name": name, "type": driver}
    packages.events.publish("network", action, endpoint.network_id, attributes)
