# SPDX-License-Identifier: Apache-2.0
"""Containers as the Engine API shows them: create's body and answer, one line of a list, inspect, exec's inspect.

Pure: records in, JSON values out, members in dockerd's order. Called by `api.routes.containers` and `exec`.
Source: Engine API v1.51; compared with dockerd 28.5 byte for byte.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.containers import Record, detach_keys, links, ports, status, timestamps
from holdfast.containers.config import Config, DockerStruct, EndpointSettings, HostConfig, RestartPolicy
from holdfast.containers.container import Container
from holdfast.containers.execs import Exec
from holdfast.containers.json_names import docker_name
from holdfast.containers.record import MountPoint, NetworkState, PublishedPort, State

_OMIT_IN_CONFIG = (
    "ExposedPorts",
    "Healthcheck",
    "ArgsEscaped",
    "NetworkDisabled",
    "MacAddress",
    "StopSignal",
    "StopTimeout",
    "Shell",
)
_OMIT_IN_HOST = (
    "Annotations",
    "StorageOpt",
    "Tmpfs",
    "Sysctls",
    "Mounts",
    "Init",
    "KernelMemory",
    "KernelMemoryTCP",
)


class NetworkingConfig(DockerStruct):
    """The wish for networks, by name."""

    endpoints_config: dict[str, EndpointSettings] | None = None


class CreateBody(Config):
    """The body of create: a Config with the rest beside it."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class UpdateBody(HostConfig):
    """The body of update: limits at the top level, and the restart policy."""


def config_of(body: CreateBody) -> Config:
    """The Config part alone."""
    return Config(**{name: getattr(body, name) for name in Config.__struct_fields__})


def render_config(config: Config) -> dict[str, Any]:
    """Config, without the members that Go leaves out when they are empty."""
    document: dict[str, Any] = msgspec.to_builtins(config)
    for name in _OMIT_IN_CONFIG:
        if not document[name] and not (name in ("StopTimeout", "Healthcheck") and document[name] is not None):
            del document[name]
    return document


def _config(record: Record) -> dict[str, Any]:
    """With the MAC of the mode's own network, where it was long chosen."""
    own = record.network.endpoints.get(record.host_config.network_mode)
    if own is None or not own.desired_mac or record.config.mac_address:
        return render_config(record.config)
    return render_config(msgspec.structs.replace(record.config, mac_address=own.desired_mac))


def render_host(host: HostConfig) -> dict[str, Any]:
    """HostConfig, in the same way."""
    document: dict[str, Any] = msgspec.to_builtins(host)
    for name in _OMIT_IN_HOST:
        if not document[name] and document[name] is not False:
            del document[name]
    return document


def _links(record: Record) -> list[str] | None:
    """As `/CHILD:/OWN/ALIAS`; those in a network of the user's are names there, and not shown."""
    found = links.shown(record.host_config)
    return [f"/{name.lstrip('/')}:/{record.name}/{alias}" for alias, name in found] or None


def render_state(state: State) -> dict[str, Any]:
    """State as inspect has it."""
    document: dict[str, Any] = {
        "Status": state.status,
        "Running": state.is_running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": timestamps.rfc3339(state.started_nanos),
        "FinishedAt": timestamps.rfc3339(state.finished_nanos),
    }
    if state.health is not None:
        document["Health"] = msgspec.to_builtins(state.health)
    return document


def render_mount(point: MountPoint, *, in_list: bool) -> dict[str, Any]:
    """One mount point; lists hide where volumes lie."""
    document: dict[str, Any] = {"Type": point.type}
    if point.type in ("volume", "image"):
        document["Name"] = point.name
    document["Source"] = "" if in_list and point.type == "volume" else point.source
    document["Destination"] = point.destination
    if point.type == "volume":
        document["Driver"] = point.driver
    document |= {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}
    return document


def render_endpoints(network: NetworkState) -> dict[str, Any]:
    """Networks, by name."""
    shown: dict[str, Any] = {name: msgspec.to_builtins(endpoint) for name, endpoint in network.endpoints.items()}
    for endpoint in shown.values():
        del endpoint["DesiredMac"]
    return shown


def render_ports(record: Record) -> dict[str, Any]:
    """NetworkSettings.Ports: every exposed port of a running container, null for those that are not published."""
    if not record.state.has_process or not record.network.shows_ports:
        return {}
    found: dict[str, Any] = {
        f"{port}/{protocol}": None for port, protocol in ports.iter_exposed(record.config.exposed_ports)
    }
    for bound in record.network.ports:
        key = f"{bound.container_port}/{bound.protocol}"
        found[key] = [*(found.get(key) or []), {"HostIp": bound.host_ip, "HostPort": str(bound.host_port or "")}]
    return found


def render_network(record: Record) -> dict[str, Any]:
    """NetworkSettings, with the default bridge's values at the top as older clients want them."""
    network = record.network
    bridge = network.endpoints.get("bridge") or EndpointSettings()
    return {
        "Bridge": "",
        "SandboxID": network.sandbox_id,
        "SandboxKey": network.sandbox_key,
        "Ports": render_ports(record),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": bridge.endpoint_id,
        "Gateway": bridge.gateway,
        "GlobalIPv6Address": bridge.global_ipv6_address,
        "GlobalIPv6PrefixLen": bridge.global_ipv6_prefix_len,
        "IPAddress": bridge.ip_address,
        "IPPrefixLen": bridge.ip_prefix_len,
        "IPv6Gateway": bridge.ipv6_gateway,
        "MacAddress": bridge.mac_address,
        "Networks": render_endpoints(network),
    }


def inspect(
    container: Container, *, layers: Sequence[str], exec_ids: Sequence[str], sizes: tuple[int, int] | None
) -> dict[str, Any]:
    """The whole of `GET /containers/{id}/json`; `layers` are the snapshot's directories, the top one first."""
    record = container.record
    document: dict[str, Any] = {
        "Id": record.id,
        "Created": timestamps.rfc3339(record.created_nanos),
        "Path": record.path,
        "Args": record.args,
        "State": render_state(record.state),
        "Image": record.image_id,
        "ResolvConfPath": record.network.resolv_conf_path,
        "HostnamePath": record.network.hostname_path,
        "HostsPath": record.network.hosts_path,
        "LogPath": record.log_path,
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": record.driver,
        "Platform": record.image_platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(exec_ids) or None,
        "HostConfig": {**render_host(record.host_config), "Links": _links(record)},
        "GraphDriver": _graph_driver(record, layers),
    }
    if sizes is not None:
        document |= {"SizeRw": sizes[0], "SizeRootFs": sizes[1]}
    document |= {
        "Mounts": [
            render_mount(point, in_list=False) for point in record.mounts if point.type != "tmpfs" or point.options
        ],
        "Config": _config(record),
        "NetworkSettings": render_network(record),
    }
    return document


def add_own_aliases(document: dict[str, Any], record: Record) -> None:
    """Adds short id and host name to the aliases in each network of the user's, as versions before 1.45 have them."""
    for name, endpoint in document["NetworkSettings"]["Networks"].items():
        if name not in ("bridge", "host", "none"):
            own = (*(endpoint["Aliases"] or ()), record.id[:12], record.config.hostname)
            endpoint["Aliases"] = list(dict.fromkeys(own))


def _graph_driver(record: Record, layers: Sequence[str]) -> dict[str, Any]:
    if record.driver != "overlay2" or not layers:
        return {"Data": None, "Name": record.driver}
    home = layers[0].rpartition("/")[0]
    data = {
        "ID": record.id,
        "LowerDir": ":".join(layers[1:]),
        "MergedDir": f"{home}/merged",
        "UpperDir": layers[0],
        "WorkDir": f"{home}/work",
    }
    return {"Data": data, "Name": record.driver}


def summary(
    container: Container,
    now_nanos: int,
    sizes: tuple[int, int] | None,
    *,
    image: str,
    link_names: Sequence[str] = (),
) -> msgspec.Raw | dict[str, Any]:
    """One line of the list; its JSON is kept with the container until it, its image's name or its age in words changes.

    `link_names` is what others call it, which is not kept.
    """
    record = container.record
    text = status.text(record.state, now_nanos, record.is_removing)
    if sizes is None and not link_names:
        kept = container.listing
        if kept is None or kept[:2] != (text, image):
            kept = container.listing = (text, image, msgspec.Raw(msgspec.json.encode(_summary(record, text, image))))
        return kept[2]
    shown: dict[str, Any] = {}
    for name, value in _summary(record, text, image, link_names).items():
        if sizes and name == "Labels":
            if sizes[0]:
                shown["SizeRw"] = sizes[0]
            shown["SizeRootFs"] = sizes[1]
        shown[name] = value
    return shown


def without_annotations(lines: Sequence[msgspec.Raw | dict[str, Any]]) -> list[msgspec.Raw | dict[str, Any]]:
    """The lines of a list as older clients know them; one that has none stays the JSON that it is."""
    shown: list[msgspec.Raw | dict[str, Any]] = []
    for line in lines:
        if isinstance(line, msgspec.Raw) and b'"Annotations"' not in bytes(line):
            shown.append(line)
            continue
        document = msgspec.json.decode(line) if isinstance(line, msgspec.Raw) else line
        document["HostConfig"].pop("Annotations", None)
        shown.append(document)
    return shown


def _summary(record: Record, status_text: str, image: str, link_names: Sequence[str] = ()) -> dict[str, Any]:
    host: dict[str, Any] = {"NetworkMode": record.host_config.network_mode}
    if record.host_config.annotations:
        host["Annotations"] = record.host_config.annotations
    return {
        "Id": record.id,
        "Names": sorted(f"/{name}" for name in (record.name, *link_names)),
        "Image": image,
        "ImageID": record.image_id,
        "Command": _command(record),
        "Created": record.created_nanos // 1_000_000_000,
        "Ports": _list_ports(record),
        "Labels": record.config.labels or {},
        "State": record.state.status,
        "Status": status_text,
        "HostConfig": host,
        "NetworkSettings": {"Networks": render_endpoints(record.network)},
        "Mounts": [render_mount(point, in_list=True) for point in record.mounts],
    }


def _command(record: Record) -> str:
    if not record.args:
        return record.path
    return f"{record.path} {' '.join(_quoted(argument) for argument in record.args)}"


def _quoted(argument: str) -> str:
    return f"'{argument}'" if " " in argument else argument


def _list_ports(record: Record) -> list[dict[str, Any]]:
    if not record.state.has_process or not record.network.shows_ports:
        return []
    published = {(port.container_port, port.protocol) for port in record.network.ports}
    found: list[dict[str, Any]] = [_bound(port) for port in record.network.ports]
    for port, protocol in ports.iter_exposed(record.config.exposed_ports):
        if (port, protocol) not in published:
            found.append({"PrivatePort": port, "Type": protocol})
    return found


def _bound(port: PublishedPort) -> dict[str, Any]:
    """A routed port has none on the host."""
    shown: dict[str, Any] = {"IP": port.host_ip, "PrivatePort": port.container_port}
    if port.host_port:
        shown["PublicPort"] = port.host_port
    return {**shown, "Type": port.protocol}


def render_exec(found: Exec) -> dict[str, Any]:
    """`GET /exec/{id}/json`."""
    config = found.config
    process: dict[str, Any] = {
        "tty": config.tty,
        "entrypoint": found.command[0],
        "arguments": found.command[1:],
        "privileged": config.privileged,
    }
    if config.user:
        process["user"] = config.user
    keys = detach_keys.parse(config.detach_keys) if config.detach_keys else b""
    return {
        "ID": found.id,
        "Running": found.is_running,
        "ExitCode": found.exit_code,
        "ProcessConfig": process,
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": False,
        "ContainerID": found.container_id,
        "DetachKeys": base64.b64encode(keys).decode("ascii"),
        "Pid": found.pid,
    }


class ExecStart(DockerStruct):
    """The body of exec start."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class Answer(msgspec.Struct, rename=docker_name):
    """create's answer."""

    id: str
    warnings: list[str] | None


def has_restart_policy(body: UpdateBody) -> bool:
    """True when update names a policy."""
    return body.restart_policy != RestartPolicy()
