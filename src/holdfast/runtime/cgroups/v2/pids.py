# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `pids`: how many processes and threads (Documentation/admin-guide/cgroup-v2.rst, PID)."""

from __future__ import annotations

from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `pids`; zero and below mean no limit, as in Docker."""
    number = values.integer(values.section(resources, "pids"), "limit")
    if number is None:
        return []
    return [("pids.max", str(number) if number > 0 else "max")]


def stats(directory: str) -> dict[str, int]:
    """`pids` of runc's event shape; no `limit` when there is none."""
    found = {"current": values.number(cgroupfs.read_optional(f"{directory}/pids.current"))}
    most = cgroupfs.read_optional(f"{directory}/pids.max")
    if most is not None and most != "max":
        found["limit"] = int(most)
    return found
