# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: takes what the configuration file now says of the options that may change, and tells it as an event.

All or nothing: a file with any mistake changes nothing and is complained of in the log. Other options need a restart,
which no container notices. Called by `daemon.service`. Source: moby `daemon/reload.go`.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from holdfast.daemon import config, log, machine, wiring
from holdfast.daemon.config import Config
from holdfast.distribution import proxies
from holdfast.distribution.proxies import Proxies
from holdfast.errors import InvalidArgument

_LOG = logging.getLogger("holdfast.daemon")
_DOWNLOAD_ATTEMPTS = 5


class Reloader:
    """The daemon's options as they are now, and how to change them."""

    def __init__(self, options: Config, given: Mapping[str, object], built: wiring.Built) -> None:
        self.options = options
        self._given = given
        self._built = built

    def __call__(self) -> None:
        """Reads the file again and acts on it."""
        try:
            changed = config.reload(self.options, self._given)
        except InvalidArgument as error:
            _LOG.error("configuration not reloaded: %s", error.message)
            return
        self.options = changed
        self._apply(changed)
        _LOG.info("Reloaded configuration: %s", shown(changed))
        packages = self._built.packages
        packages.events.publish(
            "daemon", "reload", self._built.system.daemon_id, attributes(changed, packages.config.cgroup_version)
        )

    def _apply(self, options: Config) -> None:
        packages, system = self._built.packages, self._built.system
        log.set_level(options.log_level)
        runtimes = machine.runtimes(options)
        packages.config = replace(
            packages.config,
            default_runtime=options.default_runtime,
            runtimes=runtimes,
            default_shm_bytes=options.default_shm_bytes,
            labels=options.labels,
            default_ipc_mode=options.default_ipc_mode,
            default_cgroupns_mode=options.default_cgroupns_mode,
        )
        packages.machine = replace(packages.machine, runtimes=frozenset((machine.NATIVE, *runtimes)))
        packages.distribution.reconfigure(wiring.registry_config(options))
        packages.pusher.resize(options.max_concurrent_uploads)
        system.default_runtime = options.default_runtime
        system.runtimes = wiring.shown_runtimes(options)
        system.insecure_registries = options.insecure_registries
        system.registry_mirrors = options.registry_mirrors
        system.labels = options.labels


def shown(options: Config) -> str:
    """All of it as JSON; passwords do not appear."""
    http, https, no_proxy = options.proxies
    hidden = Proxies(proxies.masked(http), proxies.masked(https), no_proxy)
    return msgspec.json.encode(msgspec.structs.replace(options, proxies=hidden)).decode()


def attributes(options: Config, cgroup_version: int) -> dict[str, str]:
    """What dockerd tells of a reload; what cannot change here is told as it is."""
    return {
        "name": socket.gethostname(),
        "runtimes": " ".join(f"{name}:{command[0]}" for name, command in options.runtimes.items()),
        "default-runtime": options.default_runtime,
        "default-shm-size": str(options.default_shm_bytes),
        "default-ipc-mode": options.default_ipc_mode,
        "default-cgroupns-mode": options.default_cgroupns_mode or ("host" if cgroup_version == 1 else "private"),
        "debug": str(options.debug).lower(),
        "max-concurrent-downloads": str(options.max_concurrent_downloads),
        "max-concurrent-uploads": str(options.max_concurrent_uploads),
        "max-download-attempts": str(_DOWNLOAD_ATTEMPTS),
        "shutdown-timeout": str(options.shutdown_seconds),
        "features": "map[]",
        "labels": _list(options.labels),
        "insecure-registries": _list(options.insecure_registries),
        "registry-mirrors": _list(options.registry_mirrors),
        "live-restore": "true",
    }


def _list(values: Sequence[str]) -> str:
    return json.dumps(list(values), separators=(",", ":"))
