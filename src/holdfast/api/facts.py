# SPDX-License-Identifier: Apache-2.0
"""What `version` and `info` say about this machine and this program, gathered once at start.

Reads /proc, /sys and os-release; nothing that changes while the daemon runs. Built by `daemon.wiring`, rendered by
`api.routes.system`. Source: proc(5), os-release(5), Engine API v1.51 SystemInfo.
"""

from __future__ import annotations

import os
import platform

import msgspec

VERSION = "0.1.0"
SWAP_LIMIT = "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are; `commit` is empty outside a checkout."""

    name: str = "Holdfast"
    version: str = VERSION
    commit: str = ""
    build_time: str = ""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine under the daemon."""

    name: str
    kernel_version: str
    operating_system: str
    os_version: str
    machine: str
    cpus: int
    memory_bytes: int
    cgroup_version: str
    cgroup_controllers: frozenset[str]
    has_swap_accounting: bool

    @property
    def architecture(self) -> str:
        """Go's name of the machine: amd64, arm64."""
        return ARCHITECTURES.get(self.machine, self.machine)


def gather(cgroup_version: str, cgroup_controllers: frozenset[str]) -> Host:
    """Reads the machine; what its control groups can do comes from whoever knows the hierarchy."""
    system = os.uname()
    release = read_os_release()
    return Host(
        name=system.nodename,
        kernel_version=system.release,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        machine=system.machine,
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        cgroup_version=cgroup_version,
        cgroup_controllers=cgroup_controllers,
        has_swap_accounting=cgroup_version == "2" or os.path.exists(SWAP_LIMIT),
    )


def read_os_release() -> dict[str, str]:
    """os-release as the daemon's machine has it; empty when there is none."""
    text = read_text("/etc/os-release") or read_text("/usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def read_text(path: str) -> str:
    """A small file's text, empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def file_system_of(path: str) -> str:
    """The kind of file system below a path, in Docker's words: extfs, xfs, btrfs, tmpfs; empty when unknown."""
    best, kind = "", ""
    for line in read_text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        mount_point = before.split(" ")[4]
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, after.split(" ")[0]
    return {"ext4": "extfs", "ext3": "extfs", "ext2": "extfs", "overlay": "overlayfs"}.get(kind, kind)


def python_version() -> str:
    """The interpreter, where Docker names its Go."""
    return f"{platform.python_implementation()} {platform.python_version()}"
