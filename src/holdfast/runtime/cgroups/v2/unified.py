# SPDX-License-Identifier: Apache-2.0
"""OCI `unified`: cgroup v2 files given by name (OCI runtime-spec v1.2 §config-linux unified)."""

from __future__ import annotations

from holdfast.errors import InvalidArgument
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `unified`: each key one control file of the cgroup, nothing outside it."""
    files = values.section(resources, "unified")
    for name in files:
        if not name or "/" in name or name in (".", ".."):
            raise InvalidArgument(f"invalid unified resource {name!r}: it must be the name of a control file")
    return [(name, line) for name in files for line in values.text(files, name).splitlines()]
