# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `cpu`: weight and bandwidth (Documentation/admin-guide/cgroup-v2.rst, CPU)."""

from __future__ import annotations

import math

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


OPTIONAL = frozenset[str]()
_DEFAULT_PERIOD_MICROS = 100_000
_SHARES_MIN, _SHARES_MAX = 2, 262_144


def plan(resources: Resources) -> Writes:
    """Writes for `cpu`; realtime budgets have no place in v2 and are left out, as runc does."""
    cpu = values.section(resources, "cpu")
    writes: Writes = []
    idle = values.integer(cpu, "idle")
    if idle is not None:
        writes.append(("cpu.idle", str(idle)))
    shares = values.integer(cpu, "shares")
    if shares and not idle:
        writes.append(("cpu.weight", str(weight_of_shares(shares))))
    quota, period = values.integer(cpu, "quota") or 0, values.integer(cpu, "period") or 0
    if quota or period:
        amount = str(quota) if quota > 0 else "max"
        writes.append(("cpu.max", f"{amount} {period or _DEFAULT_PERIOD_MICROS}"))
    burst = values.integer(cpu, "burst")
    if burst is not None:
        writes.append(("cpu.max.burst", str(burst)))
    return writes


def weight_of_shares(shares: int) -> int:
    """v1 shares (2..262144, default 1024) as v2 weight (1..10000, default 100).

    The curve through the three points (2, 1), (1024, 100), (262144, 10000) that runc 1.4 and crun 1.23 use; the older
    straight line made 1024 a 39 and so a default container weaker than its neighbours.
    """
    if shares <= _SHARES_MIN:
        return 1
    if shares >= _SHARES_MAX:
        return 10_000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def stats(directory: str, read: Read) -> dict[str, object]:
    """`cpu` of runc's event shape, in nanoseconds."""
    found = values.flat_keyed(read(f"{directory}/cpu.stat"))
    return {
        "usage": {
            "total": found.get("usage_usec", 0) * 1000,
            "kernel": found.get("system_usec", 0) * 1000,
            "user": found.get("user_usec", 0) * 1000,
        },
        "throttling": {
            "periods": found.get("nr_periods", 0),
            "throttledPeriods": found.get("nr_throttled", 0),
            "throttledTime": found.get("throttled_usec", 0) * 1000,
        },
    }
