# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `blkio`: disk weights and throttles (Documentation/admin-guide/cgroup-v1/blkio-controller.rst).

Weights belong to the I/O scheduler: `blkio.bfq.weight` where BFQ is built in, `blkio.weight` on kernels with CFQ (< 5.0).
"""

from __future__ import annotations

from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)
_COUNTERS = (
    ("ioServiceBytesRecursive", "blkio.throttle.io_service_bytes_recursive"),
    ("ioServicedRecursive", "blkio.throttle.io_serviced_recursive"),
)


def plan(resources: Resources, *, weight_file: str = "blkio.bfq.weight") -> Writes:
    """Writes for `blkio`; `weight_file` is the one that this kernel has."""
    block = values.section(resources, "blockIO")
    writes: Writes = []
    weight = values.integer(block, "weight")
    if weight:
        writes.append((weight_file, str(weight)))
    leaf = values.integer(block, "leafWeight")
    if leaf:
        writes.append(("blkio.leaf_weight", str(leaf)))
    for entry in values.entries(block, "weightDevice"):
        each = values.integer(entry, "weight")
        if each:
            writes.append((f"{weight_file}_device", f"{values.device(entry)} {each}"))
    for name, file in _THROTTLES:
        for entry in values.entries(block, name):
            writes.append((file, f"{values.device(entry)} {values.integer(entry, 'rate') or 0}"))
    return writes


def weight_file(directory: str) -> str:
    """Which weight file this kernel has."""
    if cgroupfs.read_optional(f"{directory}/blkio.weight") is not None:
        return "blkio.weight"
    return "blkio.bfq.weight"


def stats(directory: str, read: Read) -> dict[str, list[dict[str, object]]]:
    """`blkio` of runc's event shape."""
    return {key: _entries(read(f"{directory}/{file}")) for key, file in _COUNTERS}


def _entries(content: str | None) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for line in (content or "").splitlines():
        words = line.split()
        if len(words) != 3:
            continue
        major, _, minor = words[0].partition(":")
        found.append({"major": int(major), "minor": int(minor), "op": words[1], "value": int(words[2])})
    return found
