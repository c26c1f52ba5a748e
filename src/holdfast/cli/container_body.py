# SPDX-License-Identifier: Apache-2.0
"""Turns the flags of `run` and `create` into the body of `POST /containers/create`.

Reads the files that flags name (`--env-file`, `--label-file`, `seccomp=FILE`) and the environment; otherwise pure.
Source: Engine API v1.51 ContainerCreate; the flags' grammar as in the docker CLI.
"""

from __future__ import annotations

import os

from holdfast import errors
from holdfast.cli import device_flags, limit_flags, mount_flags, port_flags, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from holdfast.cli.flags import Values


_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


def build(values: Values, arguments: list[str]) -> dict[str, Any]:
    """The whole create body; `arguments` are the image and its command."""
    exposed, bindings = port_flags.parse(values["publish"], values["expose"])
    networks = values["network"] + values["net"]
    host = _host_config(values, bindings, networks)
    attached = [stream.lower() for stream in values["attach"]]
    for stream in attached:
        if stream not in ("stdin", "stdout", "stderr"):
            raise errors.InvalidArgument(f"valid streams are STDIN, STDOUT and STDERR: {stream}")
    detached = _detached(values)
    attach_all = not attached and not detached
    body: dict[str, Any] = {
        "Hostname": values["hostname"],
        "Domainname": values["domainname"],
        "User": values["user"],
        "AttachStdin": "stdin" in attached or (attach_all and values["interactive"]),
        "AttachStdout": "stdout" in attached or attach_all,
        "AttachStderr": "stderr" in attached or attach_all,
        "ExposedPorts": {port: {} for port in exposed},
        "Tty": values["tty"],
        "OpenStdin": values["interactive"],
        "StdinOnce": values["interactive"] and not detached,
        "Env": environment(values["env-file"], values["env"]),
        "Cmd": arguments[1:] or None,
        "Image": arguments[0],
        "WorkingDir": values["workdir"],
        "Labels": pairs(_file_lines(values["label-file"]) + values["label"]) | _health_action(values),
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": _endpoints(values, networks)},
    }
    if values.was_set("entrypoint"):
        body["Entrypoint"] = [values["entrypoint"]] if values["entrypoint"] else [""]
    if values["stop-signal"]:
        body["StopSignal"] = values["stop-signal"]
    if values.was_set("stop-timeout"):
        body["StopTimeout"] = values["stop-timeout"]
    volumes: dict[str, dict[str, str]] = {spec: {} for spec in values["volume"] if ":" not in spec}
    if volumes:
        body["Volumes"] = volumes
    health = _health(values)
    if health is not None:
        body["Healthcheck"] = health
    return body


def _detached(values: Values) -> bool:
    try:
        return bool(values["detach"])
    except KeyError:
        return False


def _host_config(values: Values, bindings: dict[str, list[dict[str, str]]], networks: list[str]) -> dict[str, Any]:
    return {
        "Binds": [mount_flags.bind(spec, os.getcwd()) for spec in values["volume"] if ":" in spec] or None,
        "Mounts": [mount_flags.parse(text, os.getcwd()) for text in values["mount"]],
        "Tmpfs": dict(_split_once(text, ":") for text in values["tmpfs"]),
        "VolumesFrom": values["volumes-from"] or None,
        "VolumeDriver": values["volume-driver"],
        "ContainerIDFile": values["cidfile"],
        "LogConfig": {"Type": values["log-driver"], "Config": pairs(values["log-opt"])},
        "NetworkMode": _network_name(networks[0]) if networks else "default",
        "PortBindings": bindings,
        "PublishAllPorts": values["publish-all"],
        "RestartPolicy": limit_flags.restart_policy(values["restart"]),
        "AutoRemove": values["rm"],
        "Dns": values["dns"],
        "DnsOptions": values["dns-option"],
        "DnsSearch": values["dns-search"],
        "ExtraHosts": [_extra_host(entry) for entry in values["add-host"]] or None,
        "GroupAdd": values["group-add"] or None,
        "Links": values["link"] or None,
        "OomScoreAdj": values["oom-score-adj"],
        "StorageOpt": pairs(values["storage-opt"]),
        "Sysctls": _sysctls(values["sysctl"]),
        "ShmSize": limit_flags.size(values["shm-size"]),
        "Runtime": values["runtime"],
        "Annotations": pairs(values["annotation"]),
        "Ulimits": [_ulimit(text) for text in sorted(values["ulimit"])],
        **limit_flags.all_of(values),
        **_sandbox(values),
    }


def _sandbox(values: Values) -> dict[str, Any]:
    """What the container may see and do of the host."""
    added, dropped = _capabilities(values["cap-add"], values["cap-drop"])
    security, has_open_paths = device_flags.security_options(values["security-opt"])
    sandbox: dict[str, Any] = {
        "CapAdd": added or None,
        "CapDrop": dropped or None,
        "CgroupnsMode": values["cgroupns"],
        "CgroupParent": values["cgroup-parent"],
        "IpcMode": values["ipc"],
        "PidMode": values["pid"],
        "Privileged": values["privileged"],
        "ReadonlyRootfs": values["read-only"],
        "SecurityOpt": security or None,
        "UTSMode": values["uts"],
        "UsernsMode": values["userns"],
        "Devices": device_flags.devices(values["device"]),
        "DeviceCgroupRules": values["device-cgroup-rule"] or None,
        "DeviceRequests": device_flags.device_requests(values["device"], values["gpus"]),
    }
    if has_open_paths:
        sandbox["MaskedPaths"] = sandbox["ReadonlyPaths"] = []
    if values["init"]:
        sandbox["Init"] = True
    return sandbox


def _endpoints(values: Values, networks: list[str]) -> dict[str, Any]:
    endpoints = {_network_name(text): _endpoint(text) for text in networks} or {"default": {}}
    first = next(iter(endpoints.values()))
    aliases = values["network-alias"] + values["net-alias"]
    if aliases:
        first["Aliases"] = aliases
    for flag, key in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("link-local-ip", "LinkLocalIPs")):
        if values[flag]:
            first.setdefault("IPAMConfig", {})[key] = values[flag]
    if values["mac-address"]:
        first["MacAddress"] = values["mac-address"]
    if values["link"] and next(iter(endpoints)) not in ("default", "bridge", "host", "none"):
        first["Links"] = values["link"]
    return endpoints


def _endpoint(text: str) -> dict[str, Any]:
    """The long form `name=…,alias=…,ip=…`; a bare name has no settings."""
    endpoint: dict[str, Any] = {}
    for part in text.split(",") if "=" in text else ():
        key, value = _split_once(part, "=")
        if key in ("ip", "ip6"):
            endpoint.setdefault("IPAMConfig", {})["IPv4Address" if key == "ip" else "IPv6Address"] = value
        elif key == "link-local-ip":
            endpoint.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(value)
        elif key == "alias":
            endpoint.setdefault("Aliases", []).append(value)
        elif key == "mac-address":
            endpoint["MacAddress"] = value
        elif key == "gw-priority":
            endpoint["GwPriority"] = _priority(value)
        elif key == "driver-opt":
            endpoint.setdefault("DriverOpts", {}).update([_split_once(value, "=")])
        elif key != "name":
            raise errors.InvalidArgument(f'invalid field key {key} in "--network {text}"')
    return endpoint


def _priority(text: str) -> int:
    try:
        return int(text, 10)
    except ValueError:
        raise errors.InvalidArgument(
            f'invalid gw-priority ({text}): strconv.Atoi: parsing "{text}": invalid syntax'
        ) from None


def _network_name(text: str) -> str:
    if "=" not in text:
        return text
    named = dict(_split_once(part, "=") for part in text.split(","))
    if "name" not in named:
        raise errors.InvalidArgument(f'network name is missing in "--network {text}": write name=NETWORK')
    return named["name"]


def _health(values: Values) -> dict[str, Any] | None:
    if values["no-healthcheck"]:
        if values["health-cmd"]:
            raise errors.InvalidArgument("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    health: dict[str, Any] = {}
    if values["health-cmd"]:
        health["Test"] = ["CMD-SHELL", values["health-cmd"]]
    for flag, key in (
        ("health-interval", "Interval"),
        ("health-timeout", "Timeout"),
        ("health-start-period", "StartPeriod"),
        ("health-start-interval", "StartInterval"),
    ):
        if values[flag]:
            health[key] = units.parse_duration(values[flag])
    if values["health-retries"]:
        health["Retries"] = values["health-retries"]
    return health or None


def _health_action(values: Values) -> dict[str, str]:
    """What the daemon does when the health check fails, as the label that it looks at."""
    action = values["health-on-failure"]
    return {"holdfast.health-on-failure": action} if action else {}


def _split_once(text: str, mark: str) -> tuple[str, str]:
    key, _, value = text.partition(mark)
    return key, value


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """["a=1", "b"] becomes {"a": "1", "b": ""}."""
    return dict(_split_once(text, "=") for text in texts)


def _file_lines(paths: Iterable[str]) -> list[str]:
    lines: list[str] = []
    for path in paths:
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines += [line.lstrip() for line in file.read().splitlines()]
        except OSError as error:
            raise errors.InvalidArgument(f"open {path}: {(error.strerror or '').lower()}") from error
    return [line for line in lines if line and not line.startswith("#")]


def environment(files: Iterable[str], given: Iterable[str]) -> list[str]:
    """`--env-file` lines, then `-e`; a bare NAME takes its value from our own environment, or unsets the image's."""
    result: list[str] = []
    for text in [*_file_lines(files), *given]:
        if not text.partition("=")[0]:
            raise errors.InvalidArgument(f"invalid environment variable: {text}")
        result.append(f"{text}={os.environ[text]}" if text in os.environ else text)
    return result


def _ulimit(text: str) -> dict[str, Any]:
    name, mark, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        low = int(soft)
        high = int(hard) if hard else low
    except ValueError:
        raise errors.InvalidArgument(f"invalid ulimit argument: {text}") from None
    if not mark:
        raise errors.InvalidArgument(f"invalid ulimit argument: {text}")
    return {"Name": name, "Soft": low, "Hard": high}


def _extra_host(text: str) -> str:
    """`NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 address perhaps in brackets, as the API's `NAME:ADDRESS`."""
    name, separator, address = text.partition("=" if "=" in text else ":")
    return f"{name}{separator and ':'}{address.removeprefix('[').removesuffix(']')}"


def _sysctls(texts: list[str]) -> dict[str, str]:
    """Only what belongs to a namespace: everything else would be the host's."""
    for text in texts:
        key = text.partition("=")[0]
        if key not in _IPC_SYSCTLS and not key.startswith(("net.", "fs.mqueue.")):
            raise errors.InvalidArgument(
                f'invalid argument "{text}" for "--sysctl" flag: sysctl \'{text}\' is not allowed'
            )
    return pairs(texts)


def _capabilities(added: list[str], dropped: list[str]) -> tuple[list[str], list[str]]:
    """Upper case, CAP_ in front, sorted; what is added is not dropped, and ALL swallows the others of its list."""

    def normal(names: list[str]) -> set[str]:
        full = {name.upper() for name in names}
        full = {name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in full}
        return {"ALL"} if "ALL" in full else full

    add = normal(added)
    drop = normal(dropped) - (add - {"ALL"})
    return sorted(add), sorted(drop)
