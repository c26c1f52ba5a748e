# SPDX-License-Identifier: Apache-2.0
"""`rdma` of both versions: handles and objects per adapter (Documentation/admin-guide/cgroup-v1/rdma.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `rdma`: one line per adapter."""
    adapters = values.section(resources, "rdma")
    writes: Writes = []
    for adapter in adapters:
        limits = values.section(adapters, adapter)
        words = [
            f"{word}={number}"
            for word, number in (
                ("hca_handle", values.integer(limits, "hcaHandles")),
                ("hca_object", values.integer(limits, "hcaObjects")),
            )
            if number is not None
        ]
        if words:
            writes.append(("rdma.max", " ".join([adapter, *words])))
    return writes
