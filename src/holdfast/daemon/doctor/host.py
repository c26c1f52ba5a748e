# SPDX-License-Identifier: Apache-2.0
"""What containers need of the kernel: its version, features, our rights, and control groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from holdfast.api import facts
from holdfast.daemon import machine
from holdfast.daemon.config import Config
from holdfast.daemon.doctor.finding import Finding, good, note, wrong
from holdfast.errors import HoldfastError
from holdfast.kernel import capabilities, nftables, seccomp
from holdfast.runtime import cgroups

_OLDEST = (5, 15)
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_EFFECTS = {
    "memory": "limits of memory and their kills are not there",
    "cpu": "limits of processor time are not there",
    "pids": "a fork bomb in a container is not stopped",
    "cpuset": "--cpuset-cpus and --cpuset-mems are not there",
    "blkio": "limits of disks are not there",
    "devices": "containers may open every device",
    "freezer": "docker pause does not work",
}
_OF_V1_ONLY = ("devices", "freezer")


def look_at_kernel(_options: Config) -> Iterator[Finding]:
    """Version, file systems, namespaces, filters, rights."""
    release = os.uname().release
    if kernel_version(release) < _OLDEST:
        yield wrong(f"Linux {release} is older than 5.15", "boot a newer kernel")
    else:
        yield good(f"Linux {release}")
    missing = [name for name in _NAMESPACES if not os.path.exists(f"/proc/self/ns/{name}")]
    if missing:
        yield wrong(f"the kernel has no namespaces of {', '.join(missing)}", "boot a kernel with CONFIG_NAMESPACES")
    else:
        yield good("all namespaces")
    if facts.read_text("/proc/sys/user/max_user_namespaces").strip() == "0":
        yield note(
            "user namespaces are switched off", "sysctl user.max_user_namespaces=15000, where somebody needs them"
        )
    if os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        yield _library("system call filters", "libseccomp2", seccomp.SyscallNames)
    else:
        yield wrong("the kernel has no system call filters", "boot a kernel with CONFIG_SECCOMP_FILTER")
    yield _library("nftables", "libnftables1", lambda: nftables.open_nftables().close())
    yield from _rights()


def kernel_version(release: str) -> tuple[int, int]:
    """`6.18.5-arch1` becomes (6, 18); (0, 0) for what does not begin like that."""
    major, _, rest = release.partition(".")
    minor = "".join(letter for letter in rest.partition(".")[0].partition("-")[0] if letter.isdigit())
    return (int(major), int(minor or 0)) if major.isdigit() else (0, 0)


def _library(feature: str, package: str, use: Callable[[], object]) -> Finding:
    try:
        use()
    except (OSError, HoldfastError, nftables.NftablesError) as error:
        return wrong(f"{feature} cannot be used: {error}", f"install {package}")
    return good(feature)


def _rights() -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield wrong("you are not root, and much of this cannot be seen", "sudo hold doctor")
        return
    last = int(facts.read_text("/proc/sys/kernel/cap_last_cap").strip() or 0)
    lacking = capabilities.names_of(~machine.bounding_bits() & ((1 << (last + 1)) - 1))
    if lacking:
        yield note(
            f"this machine itself lacks {', '.join(lacking)}", "nothing; --privileged containers get what there is"
        )


def look_at_cgroups(_options: Config) -> Iterator[Finding]:
    """Version and controllers."""
    try:
        hierarchy = cgroups.detect()
    except HoldfastError as error:
        yield wrong(error.message, "mount -t cgroup2 none /sys/fs/cgroup")
        return
    found = hierarchy.controllers()
    is_v2 = hierarchy.mode == "v2"
    yield good(f"{hierarchy.mode}: {' '.join(sorted(found))}")
    for controller, effect in _EFFECTS.items():
        if is_v2 and controller in _OF_V1_ONLY:
            continue
        name = "io" if is_v2 and controller == "blkio" else controller
        if name not in found:
            step = "cgroup_enable=memory on the kernel's command line" if name == "memory" else f"enable {name}"
            yield wrong(f"controller {name} is missing: {effect}", step)
    if not facts.gather("2" if is_v2 else "1", found).has_swap_accounting:
        yield note("swap is not counted: --memory-swap is not there", "swapaccount=1 on the kernel's command line")
