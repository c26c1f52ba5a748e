# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `memory`: limits, swap, out-of-memory handling (Documentation/admin-guide/cgroup-v1/memory.rst).

`swap` in the OCI spec and `memsw` in the kernel both mean memory plus swap. Kernel memory limits were taken out of the
kernel (5.16) and are accepted without effect, as runc does.
"""

from __future__ import annotations

from holdfast.errors import InvalidArgument
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


OPTIONAL = frozenset({"memory.swappiness", "memory.kmem.tcp.limit_in_bytes"})
_LIMIT = "memory.limit_in_bytes"
_MEMSW = "memory.memsw.limit_in_bytes"


def plan(resources: Resources, current_memsw: int | None = None) -> Writes:
    """Writes for `memory`; `current_memsw` (an update's) decides which of the two limits has to go first.

    The kernel refuses a limit above memsw and a memsw below the limit: a growing limit needs memsw raised before it.
    """
    memory = values.section(resources, "memory")
    limit, swap = values.integer(memory, "limit") or 0, values.integer(memory, "swap") or 0
    if limit == -1 and swap == 0:
        swap = -1 if current_memsw is not None else 0
    if swap > 0 and limit > swap:
        raise InvalidArgument("minimum memoryswap limit should be larger than memory limit")
    writes: Writes = [(file, str(number)) for file, number in ((_LIMIT, limit), (_MEMSW, swap)) if number != 0]
    if current_memsw is not None and (swap == -1 or current_memsw < swap):
        writes.reverse()
    reservation = values.integer(memory, "reservation")
    if reservation:
        writes.append(("memory.soft_limit_in_bytes", str(reservation)))
    tcp = values.integer(memory, "kernelTCP")
    if tcp:
        writes.append(("memory.kmem.tcp.limit_in_bytes", str(tcp)))
    if memory.get("disableOOMKiller"):
        writes.append(("memory.oom_control", "1"))
    swappiness = values.integer(memory, "swappiness")
    if swappiness is not None and swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise InvalidArgument(f"invalid memory swappiness value: {swappiness} (valid range is 0-100)")
        writes.append(("memory.swappiness", str(swappiness)))
    return writes


def current_memsw(directory: str) -> int | None:
    """The memory+swap limit as it is; None when the kernel does not count swap."""
    content = cgroupfs.read_optional(f"{directory}/{_MEMSW}")
    return None if content is None else int(content)


def stats(directory: str, read: Read, *, is_brief: bool = False) -> dict[str, object]:
    """`memory` of runc's event shape, in bytes."""
    raw = values.flat_keyed(read(f"{directory}/memory.stat"))
    found: dict[str, object] = {"cache": raw.get("cache", 0), "usage": _usage(read, directory, "memory"), "raw": raw}
    if not is_brief:
        found["swap"] = _usage(read, directory, "memory.memsw")
        found["kernel"] = _usage(read, directory, "memory.kmem")
        found["kernelTCP"] = _usage(read, directory, "memory.kmem.tcp")
    return found


def oom_kills(directory: str) -> int:
    """How many processes of this cgroup the kernel killed for want of memory."""
    return values.flat_keyed(cgroupfs.read_optional(f"{directory}/memory.oom_control")).get("oom_kill", 0)


def _usage(read: Read, directory: str, prefix: str) -> dict[str, int]:
    names = (("limit", "limit_in_bytes"), ("usage", "usage_in_bytes"), ("max", "max_usage_in_bytes"))
    found = {key: values.number(read(f"{directory}/{prefix}.{file}")) for key, file in names}
    found["failcnt"] = values.number(read(f"{directory}/{prefix}.failcnt"))
    return found
