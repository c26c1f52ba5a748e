# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `io`: disk weights and throttles (Documentation/admin-guide/cgroup-v2.rst, IO)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Read, Resources, Writes


_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)
BFQ_WEIGHT = "io.bfq.weight"
WEIGHT = "io.weight"


def plan(resources: Resources, *, has_bfq: bool = False) -> Writes:
    """Writes for `io`; with BFQ its own file takes the v1 weight as it is, `io.weight` a converted one."""
    block = values.section(resources, "blockIO")
    writes: Writes = []
    file, convert = (BFQ_WEIGHT, int) if has_bfq else (WEIGHT, weight_of_blkio)
    weight = values.integer(block, "weight")
    if weight:
        writes.append((file, str(convert(weight))))
    for entry in values.entries(block, "weightDevice"):
        each = values.integer(entry, "weight")
        if each:
            writes.append((file, f"{values.device(entry)} {convert(each)}"))
    for name, word in _THROTTLES:
        for entry in values.entries(block, name):
            rate = values.integer(entry, "rate") or 0
            writes.append(("io.max", f"{values.device(entry)} {word}={rate if rate > 0 else 'max'}"))
    return writes


def weight_of_blkio(weight: int) -> int:
    """v1 weight (10..1000) as v2 weight (1..10000), on a straight line as runc does."""
    return 1 + (weight - 10) * 9999 // 990


def stats(directory: str, read: Read) -> dict[str, list[dict[str, object]]]:
    """`blkio` of runc's event shape."""
    by_bytes: list[dict[str, object]] = []
    by_count: list[dict[str, object]] = []
    for line in (read(f"{directory}/io.stat") or "").splitlines():
        device, *pairs = line.split()
        major, colon, minor = device.partition(":")
        if not colon:
            continue
        for pair in pairs:
            key, _, amount = pair.partition("=")
            target = by_bytes if key.endswith("bytes") else by_count if key.endswith("ios") else None
            operation = {"r": "Read", "w": "Write", "d": "Discard"}.get(key[:1])
            if target is not None and operation is not None:
                target.append({"major": int(major), "minor": int(minor), "op": operation, "value": int(amount)})
    return {"ioServiceBytesRecursive": by_bytes, "ioServicedRecursive": by_count}
