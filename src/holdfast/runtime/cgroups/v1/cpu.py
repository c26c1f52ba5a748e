# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `cpu`: shares, CFS quota, realtime budget (Documentation/scheduler/sched-bwc.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


OPTIONAL = frozenset[str]()


def plan(resources: Resources) -> Writes:
    """Writes for `cpu`; the period goes before the quota, which the kernel checks against it."""
    cpu = values.section(resources, "cpu")
    writes: Writes = []
    for name, file in (
        ("shares", "cpu.shares"),
        ("period", "cpu.cfs_period_us"),
        ("quota", "cpu.cfs_quota_us"),
        ("burst", "cpu.cfs_burst_us"),
        ("realtimePeriod", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu.rt_runtime_us"),
    ):
        number = values.integer(cpu, name)
        if number is not None and (number != 0 or name == "burst"):
            writes.append((file, str(number)))
    idle = values.integer(cpu, "idle")
    if idle is not None:
        writes.append(("cpu.idle", str(idle)))
    return writes


def stats(directory: str, read: Read) -> dict[str, dict[str, int]]:
    """`throttling` of runc's event shape."""
    found = values.flat_keyed(read(f"{directory}/cpu.stat"))
    return {
        "throttling": {
            "periods": found.get("nr_periods", 0),
            "throttledPeriods": found.get("nr_throttled", 0),
            "throttledTime": found.get("throttled_time", 0),
        }
    }
