# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `devices`: which device nodes may be opened and made (Documentation/admin-guide/cgroup-v1/devices.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import device_rules, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `devices`: the default for everything first, then the exceptions; nothing without rules."""
    rules = values.entries(resources, "devices")
    if not rules:
        return []
    decision = device_rules.fold(rules)
    first, then = ("devices.allow", "devices.deny") if decision.default_allow else ("devices.deny", "devices.allow")
    lines = (
        f"{kind} {_star(major)}:{_star(minor)} {access}" for (kind, major, minor), access in decision.exceptions.items()
    )
    return [(first, "a"), *((then, line) for line in lines)]


def _star(number: int) -> str:
    return "*" if number == device_rules.WILDCARD else str(number)
