# SPDX-License-Identifier: Apache-2.0
"""Builds every package once, in the order in which they need each other, and gathers all routes.

The one place that knows everybody; it has no features. Called by `daemon.service`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import uuid
from pathlib import Path

import msgspec

from holdfast import content, images, metadata, networks, snapshots, volumes
from holdfast.api import facts
from holdfast.api.router import Route
from holdfast.api.routes import build as build_routes
from holdfast.api.routes import containers as container_routes
from holdfast.api.routes import disk_usage as disk_usage_routes
from holdfast.api.routes import exec as exec_routes
from holdfast.api.routes import images as image_routes
from holdfast.api.routes import networks as network_routes
from holdfast.api.routes import plugins as plugin_routes
from holdfast.api.routes import registries as registry_routes
from holdfast.api.routes import swarm as swarm_routes
from holdfast.api.routes import system as system_routes
from holdfast.api.routes import volumes as volume_routes
from holdfast.containers import Containers, Supervisor, cdi
from holdfast.daemon import caps, machine, sandbox_options
from holdfast.daemon.config import Config
from holdfast.distribution import OpenUploads, Origins, Puller, Pusher, Registries, RegistryConfig, proxies
from holdfast.engine.background import Background
from holdfast.engine.events import Events
from holdfast.engine.flusher import Flusher
from holdfast.engine.jobs.restore import restore
from holdfast.engine.networking import NetworkWorker
from holdfast.engine.packages import Packages, Settings
from holdfast.engine.sampler import Sampler
from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.images import builtin
from holdfast.logs import factory as log_factory
from holdfast.networks.dns import client as resolver
from holdfast.oci import platform
from holdfast.runtime import cgroups
from holdfast.shim.client import Spawner
from holdfast.snapshots import factory as snapshot_factory

_LOG = logging.getLogger("holdfast.daemon")
_LONGEST_ID = 256
NETWORK_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null")


class Built(msgspec.Struct, frozen=True):
    """The running house: its packages, what `info` tells of it, and its routes."""

    packages: Packages
    system: system_routes.System
    routes: list[Route]


async def build(options: Config) -> Built:
    """Everything ready to serve: the spawner first, as it needs the longest."""
    spawner = await Spawner.start(options.exec_root)
    hierarchy = cgroups.detect()
    cgroup_version = 2 if hierarchy.mode == "v2" else 1
    packages = _open(options, spawner, cgroup_version, Sampler(hierarchy))
    host = facts.gather(str(cgroup_version), hierarchy.controllers())
    described = describe(options, host, packages)
    await restore(packages=packages)
    await asyncio.to_thread(_offer_builtin_image, packages.images)
    return Built(
        packages,
        described,
        [
            *system_routes.routes(described, packages.events),
            *build_routes.routes(packages.events),
            *container_routes.routes(packages),
            *disk_usage_routes.routes(packages),
            *exec_routes.routes(packages),
            *image_routes.routes(packages),
            *network_routes.routes(packages),
            *plugin_routes.routes(),
            *registry_routes.routes(packages),
            *swarm_routes.routes(),
            *volume_routes.routes(packages),
        ],
    )


def _offer_builtin_image(store: images.Store) -> None:
    """A full disk costs hello-world, not the start."""
    try:
        builtin.ensure(store, platform.of_machine(os.uname().machine))
    except (HoldfastError, OSError) as error:
        _LOG.warning("the built-in image could not be stored: %s", error)


async def close(packages: Packages) -> None:
    """Lets go of files, threads and the spawner; containers go on without us."""
    await packages.background.drain(1.0)
    await packages.supervisor.close()
    await packages.networks.close()
    packages.distribution.close()
    packages.pusher.close()
    await packages.spawner.close()
    packages.metadata.close()


def _open(options: Config, spawner: Spawner, cgroup_version: int, sampler: Sampler) -> Packages:
    root = Path(options.data_root)
    records = metadata.Store(root / "metadata.db")
    blobs = content.Store(str(root / "content"))
    driver = options.storage_driver or snapshot_factory.DEFAULT
    layers = snapshots.open_driver(driver, options.data_root, caps.of_archives(options))
    pictures = images.Store(
        records, blobs, layers, limits=caps.of_streams(options), documents_limits=caps.of_documents(options)
    )
    registries, origins = Registries(registry_config(options)), Origins(records)
    return Packages(
        config=_settings(options, cgroup_version),
        metadata=records,
        flusher=Flusher(records.flush),
        content=blobs,
        snapshots=layers,
        images=pictures,
        containers=Containers(records),
        networks=NetworkWorker(
            networks.Controller(
                records,
                Path(options.exec_root),
                _network_config(options),
                now_nanos=time.time_ns(),
                resolver=resolver.Client(Path(options.exec_root) / "networks"),
            )
        ),
        volumes=volumes.Store(root / "volumes", records),
        distribution=Puller(store=blobs, images=pictures, registries=registries, origins=origins),
        pusher=Pusher(
            store=blobs,
            images=pictures,
            registries=registries,
            origins=origins,
            open_uploads=OpenUploads(records),
        ),
        spawner=spawner,
        supervisor=Supervisor(spawner),
        events=Events(),
        background=Background(),
        sampler=sampler,
        machine=machine.read(options),
    )


def _check_default_log(options: Config) -> None:
    try:
        log_factory.check(options.log_driver, options.log_opts)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to set log opts: {error.message}") from None


def _settings(options: Config, cgroup_version: int) -> Settings:
    _check_default_log(options)
    return Settings(
        data_root=Path(options.data_root),
        exec_root=Path(options.exec_root),
        cgroup_parent=options.cgroup_parent,
        default_runtime=options.default_runtime,
        runtimes=machine.runtimes(options),
        log_driver=options.log_driver,
        log_options=options.log_opts,
        default_shm_bytes=options.default_shm_bytes,
        labels=options.labels,
        cgroup_version=cgroup_version,
        default_ulimits=options.default_ulimits,
        masked_paths=sandbox_options.masked_paths(),
        default_ipc_mode=options.default_ipc_mode,
        default_cgroupns_mode=options.default_cgroupns_mode,
        sandbox=sandbox_options.read(options.seccomp_profile, no_new_privileges=options.no_new_privileges),
        has_apparmor=sandbox_options.has_apparmor(),
        has_init=options.init,
        init_path=options.init_path,
        cdi_spec_directories=options.cdi_spec_dirs,
        proxies=_proxies(options),
        archive_limits=caps.of_archives(options),
    )


def _proxies(options: Config) -> proxies.Proxies:
    return proxies.resolve(options.proxies, os.environ)


def _network_config(options: Config) -> networks.NetworkConfig:
    defaults = networks.NetworkConfig()
    return networks.NetworkConfig(
        host_id=daemon_id(options.data_root),
        fixed_cidr=options.fixed_cidr,
        default_gateway=options.default_gateway,
        ipv6=options.ipv6,
        bip6=options.bip6,
        fixed_cidr6=options.fixed_cidr_v6,
        default_gateway6=options.default_gateway_v6,
        default_pools=options.default_address_pools or defaults.default_pools,
        default_options=options.default_network_opts,
        host_gateway_ip=options.host_gateway_ip,
        bridge=options.bridge,
        bip=options.bip,
        mtu=options.mtu,
        icc=options.icc,
        ip_forward=options.ip_forward,
        ip_masquerade=options.ip_masq,
        firewall=options.iptables,
        firewall6=options.ip6tables,
        relay=options.userland_proxy,
        host_binding_ip=options.ip,
        dns=options.dns,
        dns_search=options.dns_search,
        dns_options=options.dns_opts,
    )


def registry_config(options: Config) -> RegistryConfig:
    """How registries are reached."""
    return RegistryConfig(
        mirrors=options.registry_mirrors,
        insecure=options.insecure_registries,
        max_concurrent_downloads=options.max_concurrent_downloads,
        max_concurrent_uploads=options.max_concurrent_uploads,
        certs_dirs=options.certs_dirs,
        proxies=_proxies(options),
        documents=caps.of_documents(options),
    )


def describe(options: Config, host: facts.Host, packages: Packages) -> system_routes.System:
    """What `info` and `version` tell."""
    return system_routes.System(
        program=facts.Program(),
        host=host,
        daemon_id=daemon_id(options.data_root),
        data_root=options.data_root,
        storage_driver=packages.snapshots.name,
        storage_status=(
            ("Backing Filesystem", facts.file_system_of(options.data_root)),
            ("Supports d_type", "true"),
            *packages.snapshots.status(),
        ),
        log_driver=options.log_driver,
        log_drivers=log_factory.NAMES,
        network_drivers=NETWORK_DRIVERS,
        default_runtime=options.default_runtime,
        runtimes=shown_runtimes(options),
        seccomp_profile=options.seccomp_profile,
        has_no_new_privileges=options.no_new_privileges,
        init_binary=options.init_path or "docker-init",
        cdi_spec_directories=options.cdi_spec_dirs,
        insecure_registries=options.insecure_registries,
        registry_mirrors=options.registry_mirrors,
        default_address_pools=options.default_address_pools,
        proxies=_proxies(options),
        forwards_ipv4=machine.forwards_ipv4(options),
        labels=options.labels,
        is_debugging=lambda: logging.getLogger("holdfast").isEnabledFor(logging.DEBUG),
        warnings=machine.warnings(host, options),
        count=_counter(packages),
    )


def shown_runtimes(options: Config) -> dict[str, tuple[str, ...]]:
    """The commands that `info` lists; ours has none."""
    return {machine.NATIVE: ("",), **machine.runtimes(options)}


def _counter(packages: Packages) -> system_routes.Counter:
    async def count() -> system_routes.Counts:
        states = [record.state.status for record in packages.containers.list()]
        devices, troubles = await asyncio.to_thread(cdi.discover, packages.config.cdi_spec_directories)
        running, paused = states.count("running") + states.count("restarting"), states.count("paused")
        return system_routes.Counts(
            containers=len(states),
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len(packages.images.list()),
            volume_drivers=tuple(packages.volumes.driver_names()),
            devices=tuple(devices),
            device_troubles=tuple(troubles),
        )

    return count


def daemon_id(data_root: str) -> str:
    """The installation's id: whatever the file `engine-id` says, which is made at the first start."""
    path = os.path.join(data_root, "engine-id")
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        found = file.read(_LONGEST_ID + 1).strip()
        if found.isprintable() and 0 < len(found) <= _LONGEST_ID:
            return found
    made = str(uuid.uuid4())
    temporary = path + ".new"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return made
