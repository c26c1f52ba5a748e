# SPDX-License-Identifier: Apache-2.0
"""The default sandbox as data: capabilities, mounts, devices, masks. Only tables; nothing here acts.

The spec compiler of `containers` copies them into a spec, `plan` adds the devices that every container has.
Source: moby's default profile (oci/defaults.go, August 2026), security.md §3, OCI runtime-spec v1.2 §default-devices.
"""

from __future__ import annotations

CAPABILITIES: tuple[str, ...] = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MASKED_PATHS: tuple[str, ...] = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
"""Besides these, /sys/devices/system/cpu/cpu*/thermal_throttle where the host has it."""

READONLY_PATHS: tuple[str, ...] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

NAMESPACES: tuple[str, ...] = ("mount", "network", "uts", "pid", "ipc")
"""A cgroup namespace too where the hierarchy is v2."""

MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("proc", "proc", "/proc", ("nosuid", "noexec", "nodev")),
    ("tmpfs", "tmpfs", "/dev", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("devpts", "devpts", "/dev/pts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("sysfs", "sysfs", "/sys", ("nosuid", "noexec", "nodev", "ro")),
    ("cgroup", "cgroup", "/sys/fs/cgroup", ("ro", "nosuid", "noexec", "nodev")),
    ("mqueue", "mqueue", "/dev/mqueue", ("nosuid", "noexec", "nodev")),
    ("tmpfs", "shm", "/dev/shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=67108864")),
)
"""(type, source, target, options) in the order in which they are mounted."""

DEVICES: tuple[tuple[str, str, int, int, int], ...] = (
    ("/dev/null", "c", 1, 3, 0o666),
    ("/dev/zero", "c", 1, 5, 0o666),
    ("/dev/full", "c", 1, 7, 0o666),
    ("/dev/random", "c", 1, 8, 0o666),
    ("/dev/urandom", "c", 1, 9, 0o666),
    ("/dev/tty", "c", 5, 0, 0o666),
)
"""(path, type, major, minor, mode) of the nodes that every container has, asked for or not."""

DEVICE_LINKS: tuple[tuple[str, str], ...] = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
"""(name below /dev, what it points to)."""

DEVICE_RULES: tuple[tuple[bool, str, int | None, int | None, str], ...] = (
    (False, "a", None, None, "rwm"),
    (True, "c", None, None, "m"),
    (True, "b", None, None, "m"),
    (True, "c", 1, 3, "rwm"),
    (True, "c", 1, 5, "rwm"),
    (True, "c", 1, 7, "rwm"),
    (True, "c", 1, 8, "rwm"),
    (True, "c", 1, 9, "rwm"),
    (True, "c", 5, 0, "rwm"),
    (True, "c", 5, 1, "rwm"),
    (True, "c", 5, 2, "rwm"),
    (True, "c", 10, 200, "rwm"),
    (True, "c", 136, None, "rwm"),
    (False, "c", 10, 229, "rwm"),
)
"""The device cgroup, in order: (allow, type, major, minor, access); None is any."""

SYSCTLS: dict[str, str] = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
"""Set in every network namespace that is the container's own."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NAMESPACED_SYSCTLS: tuple[str, ...] = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)
"""Those of the IPC namespace; fs.mqueue.* belongs to it too, net.* to the network's, two names to the UTS one."""
