# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `memory`: limit, swap, protection (Documentation/admin-guide/cgroup-v2.rst, Memory).

The OCI spec counts swap as v1 does (memory plus swap); v2 counts swap alone. Swappiness, kernel limits and the
out-of-memory switch have no place in v2 and are left out, as runc does.
"""

from __future__ import annotations

from holdfast.errors import InvalidArgument
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


OPTIONAL = frozenset({"memory.swap.max"})


def plan(resources: Resources) -> Writes:
    """Writes for `memory`."""
    memory = values.section(resources, "memory")
    limit, swap = values.integer(memory, "limit") or 0, values.integer(memory, "swap") or 0
    writes: Writes = []
    only_swap = swap_alone(swap, limit)
    if only_swap is not None:
        writes.append(("memory.swap.max", values.limit(only_swap)))
    if limit:
        writes.append(("memory.max", values.limit(limit)))
    reservation = values.integer(memory, "reservation")
    if reservation:
        writes.append(("memory.low", values.limit(reservation)))
    return writes


def swap_alone(memory_and_swap: int, limit: int) -> int | None:
    """The v2 swap limit for v1's sum: None = leave alone, -1 = unlimited. InvalidArgument when the sum is too small."""
    if memory_and_swap == 0:
        return -1 if limit == -1 else None
    if memory_and_swap < 0:
        return -1
    if limit == 0:
        raise InvalidArgument("unable to set swap limit without memory limit")
    if limit < 0:
        raise InvalidArgument("unable to set swap limit: the memory limit is unlimited")
    if memory_and_swap < limit:
        raise InvalidArgument("minimum memoryswap limit should be larger than memory limit")
    return memory_and_swap - limit


def stats(directory: str, read: Read, *, is_brief: bool = False) -> dict[str, object]:
    """`memory` of runc's event shape, in bytes; swap as memory plus swap, as v1 counts."""
    raw = values.flat_keyed(read(f"{directory}/memory.stat"))
    usage = _usage(read, directory, "memory")
    found: dict[str, object] = {"cache": raw.get("file", 0), "usage": usage, "raw": raw}
    if not is_brief:
        swap = _usage(read, directory, "memory.swap")
        found["swap"] = {key: min(usage[key] + swap[key], 2**64 - 1) for key in usage}
    return found


def oom_kills(directory: str) -> int:
    """How many processes of this cgroup and below the kernel killed for want of memory."""
    return values.flat_keyed(cgroupfs.read_optional(f"{directory}/memory.events")).get("oom_kill", 0)


def _usage(read: Read, directory: str, prefix: str) -> dict[str, int]:
    names = (("limit", "max"), ("usage", "current"), ("max", "peak"))
    found = {key: values.number(read(f"{directory}/{prefix}.{file}")) for key, file in names}
    events = values.flat_keyed(read(f"{directory}/{prefix}.events"))
    found["failcnt"] = events.get("max", 0)
    return found
