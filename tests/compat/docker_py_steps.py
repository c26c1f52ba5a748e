# SPDX-License-Identifier: Apache-2.0
"""How the scripts of docker-py are written: steps that return what they saw, each printed as one line, and who was called."""

import functools
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

import docker
from docker import api, errors
from docker.models import containers

IMAGE = "busybox:1.37.0-musl"
SURFACE = (
    containers.Container,
    containers.ContainerCollection,
    api.container.ContainerApiMixin,
    api.exec_api.ExecApiMixin,
)

_STEPS: list[Callable[[docker.DockerClient], Any]] = []
_CALLED: set[str] = set()


def step(function: Callable[[docker.DockerClient], Any]) -> Callable[[docker.DockerClient], Any]:
    _STEPS.append(function)
    return function


def failure(call: Callable[[], Any]) -> tuple[str, int | None, str]:
    """The class, status and text of the error that a call raises."""
    try:
        result = call()
    except errors.APIError as error:
        return type(error).__name__, error.status_code, re.sub(r"[0-9a-f]{12,64}", "<id>", str(error.explanation))
    except errors.DockerException as error:
        return type(error).__name__, None, re.sub(r"[0-9a-f]{12,64}", "<id>", str(error))
    return "no error", None, repr(result)


def surface() -> set[str]:
    """Every public method and property of docker-py's containers and execs, as Class.name."""
    return {
        f"{kind.__name__}.{name}"
        for kind in SURFACE
        for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def _watch() -> None:
    """Notes which of the surface is used."""
    for kind in SURFACE:
        for name, member in list(vars(kind).items()):
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                setattr(kind, name, property(_noting(f"{kind.__name__}.{name}", member.fget)))
            elif inspect.isfunction(member):
                setattr(kind, name, _noting(f"{kind.__name__}.{name}", member))


def _noting(name: str, member: Any) -> Any:
    @functools.wraps(member)
    def call(*args: Any, **kwargs: Any) -> Any:
        _CALLED.add(name)
        return member(*args, **kwargs)

    return call


def say_all() -> None:
    """Runs every step against DOCKER_HOST."""
    _watch()
    client = docker.from_env()
    for each in _STEPS:
        try:
            said = repr(each(client))
        except Exception as error:  # noqa: BLE001 (what a step raises is compared too)
            said = f"raised {error!r}"
        sys.stdout.write(f"{each.__name__}: {said}\n")
    client.close()
    sys.stdout.write(f"called: {' '.join(sorted(_CALLED))}\n")
