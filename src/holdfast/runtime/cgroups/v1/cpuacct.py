# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `cpuacct`: time used, counted only (Documentation/admin-guide/cgroup-v1/cpuacct.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read


def stats(directory: str, read: Read) -> dict[str, object]:
    """`usage` of runc's event shape, in nanoseconds."""
    total = values.number(read(f"{directory}/cpuacct.usage"))
    per_cpu = _numbers(read(f"{directory}/cpuacct.usage_percpu"))
    kernel = values.number(read(f"{directory}/cpuacct.usage_sys"))
    user = values.number(read(f"{directory}/cpuacct.usage_user"))
    return {"usage": {"total": total, "percpu": per_cpu, "kernel": kernel, "user": user}}


def _numbers(content: str | None) -> list[int]:
    return [int(word) for word in (content or "").split()]
