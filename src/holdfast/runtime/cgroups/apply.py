# SPDX-License-Identifier: Apache-2.0
"""Carries out planned writes in one cgroup directory and says in words which one the kernel refused.

Called by `v1.cgroup` and `v2.cgroup` with what the controllers' `plan` returned.
"""

from __future__ import annotations

import os

from holdfast.errors import InvalidArgument, Unsupported
from holdfast.kernel import cgroupfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from holdfast.runtime.cgroups.values import Writes


def apply(directory: str, writes: Writes, *, optional: Collection[str] = ()) -> None:
    """Writes in order; values in a row for one file share a descriptor. Files in `optional` may be missing."""
    position = 0
    while position < len(writes):
        name = writes[position][0]
        end = position + 1
        while end < len(writes) and writes[end][0] == name:
            end += 1
        values = [value for _, value in writes[position:end]]
        try:
            cgroupfs.write(f"{directory}/{name}", values)
        except FileNotFoundError as missing:
            if name not in optional:
                raise Unsupported(f"cgroup {directory} has no {name}: the kernel lacks it") from missing
        except OSError as problem:
            if name not in optional:
                shown = ", ".join(repr(value) for value in values)
                why = os.strerror(problem.errno or 0).lower()
                raise InvalidArgument(f"cannot write {shown} to {directory}/{name}: {why}") from problem
        position = end
