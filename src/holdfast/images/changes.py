# SPDX-License-Identifier: Apache-2.0
"""`--change` of import and commit: single Dockerfile instructions applied to a run configuration. Pure.

The instructions that Docker allows there: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME
WORKDIR. Source: Engine API v1.47 ImageCreate "changes"; Dockerfile reference.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING, cast

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.oci.image import Healthcheck, RunConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_SHELL = ("/bin/sh", "-c")
_NANOS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", re.ASCII)
_HEALTH_FLAGS = {
    "--interval": "interval",
    "--timeout": "timeout",
    "--start-period": "start_period",
    "--start-interval": "start_interval",
    "--retries": "retries",
}


def apply_changes(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """The configuration after all changes; InvalidArgument for what is no allowed instruction."""
    for line in (line for change in changes for line in change.splitlines() or ("",)):
        word, _, rest = line.strip().partition(" ")
        maker = _INSTRUCTIONS.get(word.upper())
        if maker is None:
            raise InvalidArgument(f"{word or 'nothing'} is not a valid change command")
        config = maker(config, rest.strip())
    return config


def _command(text: str, config: RunConfig) -> tuple[str, ...]:
    """The exec form when it is a JSON array of strings, else the shell form."""
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    return (*(config.shell or _SHELL), text)


def _cmd(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, cmd=_command(text, config))


def _entrypoint(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, entrypoint=_command(text, config) if text else None)


def _env(config: RunConfig, text: str) -> RunConfig:
    values: dict[str, str] = {}
    for item in config.env:
        key, _, value = item.partition("=")
        values[key] = value
    values.update(_pairs("ENV", text))
    return msgspec.structs.replace(config, env=tuple(f"{key}={value}" for key, value in values.items()))


def _label(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, labels={**config.labels, **_pairs("LABEL", text)})


def _pairs(word: str, text: str) -> dict[str, str]:
    """`k=v k2="v 2"`, or the old form `k the rest`."""
    first = text.split(None, 1)
    if not first:
        raise InvalidArgument(f"{word} requires at least one argument")
    if "=" not in first[0]:
        if len(first) != 2:
            raise InvalidArgument(f"{word} must have two arguments")
        return {first[0]: first[1]}
    pairs: dict[str, str] = {}
    for item in _words(word, text):
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise InvalidArgument(f"syntax error - can't find = in {item!r}. Must be of the form: name=value")
        pairs[key] = value
    return pairs


def _words(word: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"{word}: {error}") from error


def _expose(config: RunConfig, text: str) -> RunConfig:
    ports = dict(config.exposed_ports)
    for item in text.split():
        match = _PORT.fullmatch(item)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not 1 <= first <= last <= 65535:
            raise InvalidArgument(f"invalid containerPort: {item}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}
    if not text:
        raise InvalidArgument("EXPOSE requires at least one argument")
    return msgspec.structs.replace(config, exposed_ports=ports)


def _healthcheck(config: RunConfig, text: str) -> RunConfig:
    values: dict[str, int] = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, equals, value = flag.partition("=")
        if name not in _HEALTH_FLAGS or not equals:
            raise InvalidArgument(f"unknown flag: {name}")
        values[_HEALTH_FLAGS[name]] = _whole(value) if name == "--retries" else _duration(value)
        text = text.lstrip()
    word, _, rest = text.partition(" ")
    if word.upper() == "NONE":
        return msgspec.structs.replace(config, healthcheck=Healthcheck(test=("NONE",)))
    if word.upper() != "CMD" or not rest.strip():
        raise InvalidArgument(f"unknown type {word!r} in HEALTHCHECK (try CMD)")
    command = _command(rest.strip(), RunConfig())
    is_shell = command[:2] == _SHELL and not rest.strip().startswith("[")
    test = ("CMD-SHELL", rest.strip()) if is_shell else ("CMD", *command)
    return msgspec.structs.replace(config, healthcheck=Healthcheck(test=test, **values))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"invalid number {text!r} in HEALTHCHECK")
    return int(text)


def _duration(text: str) -> int:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f"invalid duration {text!r} in HEALTHCHECK")
    return int(sum(float(number) * _NANOS[unit] for number, unit in parts))


def _onbuild(config: RunConfig, text: str) -> RunConfig:
    word = text.partition(" ")[0].upper()
    if word in ("", "ONBUILD", "FROM", "MAINTAINER"):
        raise InvalidArgument(f"{word or 'nothing'} isn't allowed as an ONBUILD trigger")
    return msgspec.structs.replace(config, on_build=(*config.on_build, text))


def _stop_signal(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, stop_signal=_one("STOPSIGNAL", text))


def _user(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, user=_one("USER", text))


def _volume(config: RunConfig, text: str) -> RunConfig:
    command = _command(text, config)
    paths = command if text.lstrip().startswith("[") else tuple(_words("VOLUME", text))
    if not paths or not all(paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return msgspec.structs.replace(config, volumes={**config.volumes, **{path: {} for path in paths}})


def _workdir(config: RunConfig, text: str) -> RunConfig:
    path = posixpath.join("/", config.working_dir, _one("WORKDIR", text))
    return msgspec.structs.replace(config, working_dir=posixpath.normpath(path))


def _one(word: str, text: str) -> str:
    if not text:
        raise InvalidArgument(f"{word} requires exactly one argument")
    return text


_INSTRUCTIONS: dict[str, Callable[[RunConfig, str], RunConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
