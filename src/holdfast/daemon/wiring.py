# SPDX-License-Identifier: Apache-2.0
"""Builds every package once, in the order in which they need each other, and gathers all routes.

The one place that knows everybody; it has no features. Called by `daemon.service`.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass

from holdfast.api import facts
from holdfast.api.router import Route
from holdfast.api.routes import system
from holdfast.daemon.config import Config
from holdfast.engine.events import Events
from holdfast.runtime import cgroups


@dataclass(frozen=True, slots=True)
class Built:
    """The running house: its routes, and how to leave it."""

    routes: list[Route]

    async def close(self) -> None:
        """Closes what holds files and processes; containers go on."""


async def build(options: Config) -> Built:
    """Everything ready to serve."""
    events = Events()

    async def count() -> system.Counts:
        return system.Counts(containers=0, running=0, paused=0, stopped=0, images=0)

    return Built(system.routes(describe(options, count), events))


def describe(options: Config, count: system.Counter) -> system.System:
    """What `info` and `version` tell."""
    hierarchy = cgroups.detect()
    return system.System(
        program=facts.Program(),
        host=facts.gather("2" if hierarchy.mode == "v2" else "1", hierarchy.controllers()),
        daemon_id=daemon_id(options.data_root),
        data_root=options.data_root,
        storage_driver=options.storage_driver or "overlay2",
        storage_status=(),
        log_driver=options.log_driver,
        log_drivers=("json-file", "none"),
        network_drivers=("bridge", "host", "null"),
        default_runtime=options.default_runtime,
        runtimes={},
        seccomp_profile=options.seccomp_profile,
        insecure_registries=options.insecure_registries,
        registry_mirrors=options.registry_mirrors,
        labels=options.labels,
        is_debugging=lambda: options.debug,
        warnings=(),
        count=count,
    )


def daemon_id(data_root: str) -> str:
    """The installation's id, made at its first start and kept in `engine-id`."""
    path = os.path.join(data_root, "engine-id")
    try:
        with open(path, encoding="ascii") as file:
            return str(uuid.UUID(file.read().strip()))
    except (OSError, ValueError):
        made = str(uuid.uuid4())
        temporary = path + ".new"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        return made
