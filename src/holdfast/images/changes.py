# SPDX-License-Identifier: Apache-2.0
"""`--change` of import and commit: single Dockerfile instructions applied to a run configuration. Pure.

The instructions that Docker allows there: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME
WORKDIR. Source: Engine API v1.47 ImageCreate "changes"; Dockerfile reference.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, cast

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.images import instruction_words
from holdfast.oci.image import Healthcheck, RunConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    found = list(instruction_words.lines("\n".join(changes)))
    if changes and not found:
        raise InvalidArgument("file with no instructions")
    for line in found:
        word, *rest = line.split(None, 1)
        maker = _INSTRUCTIONS.get(word.upper())
        if maker is None:
            raise InvalidArgument(f"{word} is not a valid change command")
        config = maker(config, rest[0] if rest else "")
    return config


def _variables(config: RunConfig) -> dict[str, str]:
    return {key: value for key, _, value in (item.partition("=") for item in config.env)}


def _command(text: str, config: RunConfig) -> tuple[str, ...]:
    """The exec form when it is a JSON array of strings, else the shell form."""
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in cast("list[object]", value)):
            raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
        return tuple(cast("list[str]", value))
    return (*(config.shell or _SHELL), text)


def _cmd(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, cmd=_command(text, config))


def _entrypoint(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, entrypoint=_command(text, config) if text else None)


def _env(config: RunConfig, text: str) -> RunConfig:
    values = _variables(config)
    values.update(_pairs("ENV", text, values))
    return msgspec.structs.replace(config, env=tuple(f"{key}={value}" for key, value in values.items()))


def _label(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, labels={**config.labels, **_pairs("LABEL", text, _variables(config))})


def _pairs(word: str, text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """`k=v k2="v 2"`, or the old form `k the rest`; all variables have the values that they had before."""
    words = instruction_words.split(text)
    if not words:
        raise InvalidArgument(f"{word} requires at least one argument")
    if "=" not in words[0]:
        if len(words) < 2:
            raise InvalidArgument(f"{word} must have two arguments")
        key, value = text.split(None, 1)
        return {instruction_words.expand(key, variables): instruction_words.expand(value, variables)}
    pairs: dict[str, str] = {}
    for item in words:
        key, equals, value = item.partition("=")
        if not equals:
            raise InvalidArgument(f"syntax error - can't find = in {item!r}. Must be of the form: name=value")
        if not (name := instruction_words.expand(key, variables)):
            raise InvalidArgument(f"{word} names can not be blank")
        pairs[name] = instruction_words.expand(value, variables)
    return pairs


def _expanded(config: RunConfig, text: str) -> list[str]:
    """The words of an instruction that takes several, with their variables replaced."""
    variables = _variables(config)
    return [
        word for each in instruction_words.split(text) for word in instruction_words.expand(each, variables).split()
    ]


def _expose(config: RunConfig, text: str) -> RunConfig:
    ports = dict(config.exposed_ports)
    for item in _expanded(config, text):
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
        if rest.strip():
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return msgspec.structs.replace(config, healthcheck=Healthcheck(test=("NONE",)))
    if word.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{word.upper()}" in HEALTHCHECK (try CMD)')
    if not rest.strip():
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
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
        raise InvalidArgument(
            f"{word} isn't allowed as an ONBUILD trigger" if word else "ONBUILD requires at least one argument"
        )
    return msgspec.structs.replace(config, on_build=(*config.on_build, text))


def _stop_signal(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, stop_signal=_one("STOPSIGNAL", text, config))


def _user(config: RunConfig, text: str) -> RunConfig:
    return msgspec.structs.replace(config, user=_one("USER", text, config))


def _volume(config: RunConfig, text: str) -> RunConfig:
    if not text:
        raise InvalidArgument("VOLUME requires at least one argument")
    command = _command(text, config)
    paths = command if text.startswith("[") else tuple(_expanded(config, text))
    if not paths or not all(path.strip() for path in paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return msgspec.structs.replace(config, volumes={**config.volumes, **{path: {} for path in paths}})


def _workdir(config: RunConfig, text: str) -> RunConfig:
    path = posixpath.join("/", config.working_dir, _one("WORKDIR", text, config))
    return msgspec.structs.replace(config, working_dir=posixpath.normpath(path))


def _one(word: str, text: str, config: RunConfig) -> str:
    if not text:
        raise InvalidArgument(f"{word} requires exactly one argument")
    return instruction_words.expand(text, _variables(config))


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
