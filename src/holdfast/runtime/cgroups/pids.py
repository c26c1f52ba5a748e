# SPDX-License-Identifier: Apache-2.0
"""`pids` of both versions: how many processes and threads (Documentation/admin-guide/cgroup-v1/pids.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `pids`; zero and below mean no limit, as in Docker."""
    number = values.integer(values.section(resources, "pids"), "limit")
    if number is None:
        return []
    return [("pids.max", str(number) if number > 0 else "max")]


def stats(directory: str, read: Read) -> dict[str, int]:
    """`pids` of runc's event shape; no `limit` when there is none."""
    found = {"current": values.number(read(f"{directory}/pids.current"))}
    most = read(f"{directory}/pids.max")
    if most is not None and most != "max":
        found["limit"] = int(most)
    return found
