# SPDX-License-Identifier: Apache-2.0
"""Facts of the machine that checks and `info` need, read once at start. Called by `daemon.wiring`."""

from __future__ import annotations

import glob
import os
import shutil

from holdfast.api import facts
from holdfast.containers.validation import Machine
from holdfast.daemon.config import RUNTIMES, Config
from holdfast.kernel import capabilities
from holdfast.runtime import cgroups

NATIVE = "holdfast"


def runtimes(options: Config) -> dict[str, tuple[str, ...]]:
    """The runc-like commands by name: those of the configuration, and those that are installed. Ours is not among them."""
    found = {name: shutil.which(name) for name in RUNTIMES if name != NATIVE}
    return {**{name: (path,) for name, path in found.items() if path}, **options.runtimes}


def read(options: Config) -> Machine:
    """What a container can be given here."""
    is_v1 = cgroups.detect().mode != "v2"
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        cpu_list=facts.read_text("/sys/devices/system/cpu/online").strip(),
        memory_nodes=facts.read_text("/sys/devices/system/node/online").strip(),
        runtimes=frozenset((NATIVE, *runtimes(options))),
        bounding_capabilities=frozenset(capabilities.names_of(bounding_bits())),
        has_weight_devices=has_weight_devices(),
        has_swappiness=is_v1,
        has_oom_kill_disable=is_v1,
        forwards_ipv4=forwards_ipv4(options),
    )


def forwards_ipv4(options: Config) -> bool:
    """Whether packets find their way between containers and others: already, or as soon as a network needs it."""
    return options.ip_forward or facts.read_text("/proc/sys/net/ipv4/ip_forward").strip() == "1"


def has_weight_devices() -> bool:
    """True when some disk's scheduler keeps weights (BFQ, or CFQ on old kernels): the others refuse a disk's own."""
    queues = glob.glob("/sys/block/*/queue/scheduler")
    return any(name in facts.read_text(path) for path in queues for name in ("[bfq]", "[cfq]"))


def bounding_bits() -> int:
    """The daemon's own capability bounding set: nothing outside it can be given away."""
    for line in facts.read_text("/proc/self/status").splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def warnings(host: facts.Host, options: Config) -> tuple[str, ...]:
    """What `info` prints below its list, in Docker's words where it has them."""
    found: list[str] = []
    if any(address.scheme == "tcp" for address in options.addresses) and options.tls is None:
        found.append(
            "WARNING: API is accessible on a tcp address without encryption.\n"
            "         Access to the remote API is equivalent to root access on the host."
        )
    for controller, text in (("memory", "memory limit"), ("cpu", "cpu cfs quota"), ("pids", "pids limit")):
        if controller not in host.cgroup_controllers:
            found.append(f"WARNING: No {text} support")
    if not host.has_swap_accounting:
        found.append("WARNING: No swap limit support")
    if not forwards_ipv4(options):
        found.append("WARNING: IPv4 forwarding is disabled")
    if options.seccomp_profile != "builtin":
        found.append("WARNING: daemon is not using the default seccomp profile")
    return tuple(found)
