# SPDX-License-Identifier: Apache-2.0
"""What the maker makes ready before the clone: mounts without a place, and a /dev with its nodes.

Work done here costs no page faults (a forked child pays some 4 µs for every page that it writes) and happens while no
container exists. What depends on the container's namespaces is left to `rootfs` in the init: proc (pid), sysfs
(network), mqueue (ipc), cgroup2 (cgroup), and all of it when there is a user namespace, which then must own the mounts.
A copy made here of a shared host mount stays its peer, which is what `rshared` means.
"""

from __future__ import annotations

import os

from holdfast.kernel import mount, namespaces
from holdfast.runtime import devices, rootfs
from holdfast.runtime.channel import Refusal
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.mounts import PlannedMount
    from holdfast.runtime.plan import Plan

_OF_THE_CONTAINER = frozenset(("proc", "sysfs", "mqueue", "cgroup", "cgroup2"))


class Prepared:
    """Detached mounts, one for each planned mount (-1: the init makes it), and whether /dev has its nodes already."""

    __slots__ = ("has_devices", "mounts")

    def __init__(self, mounts: Sequence[int], has_devices: bool) -> None:
        self.mounts = mounts
        self.has_devices = has_devices


def prepare(plan: Plan, links: Sequence[tuple[str, str]], held: list[int]) -> Prepared:
    """Makes what can be made; descriptors are added to `held`. `links` belong into the cgroup tmpfs. StartError."""
    joined = 0
    for kind, _ in plan.joins:
        joined |= kind
    if (plan.clone_flags | joined) & namespaces.NEWUSER:
        return Prepared([_detach_mapped(each, held) for each in plan.mounts], False)
    made: list[int] = []
    for each in plan.mounts:
        if each.fstype in _OF_THE_CONTAINER and not each.bind:
            made.append(-1)
            continue
        if each.is_tmpfs and not any(word.startswith("mode=") for word in each.data):
            made.append(-1)  # its mode is that of the directory which it covers
            continue
        made.append(_detach(each))
        held.append(made[-1])
    has_devices = False
    previous = os.umask(0)
    try:
        for each, fd in zip(plan.mounts, made, strict=True):
            if fd < 0 or not each.is_tmpfs:
                continue
            _make_targets(fd, each.target, plan)
            if each.target == "/dev" and plan.has_plain_dev:
                devices.fill(fd, plan.devices)
                has_devices = True
            elif each.target == "/sys/fs/cgroup":
                devices.link(fd, links)
    except Refusal as refusal:
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from None
    finally:
        os.umask(previous)
    return Prepared(made, has_devices)


def _detach_mapped(planned: PlannedMount, held: list[int]) -> int:
    """Only who owns a file system may map its ids, which the container's user namespace does not."""
    if planned.id_maps is None:
        return -1
    held.append(_detach(planned))
    return held[-1]


def _detach(planned: PlannedMount) -> int:
    try:
        fd = rootfs.make_detached(planned)
        if planned.bind and planned.propagation != mount.MS_SHARED:
            mount.set_attributes(fd, propagation=mount.MS_SLAVE, recursive=True)
        if planned.propagation and planned.propagation != mount.MS_SLAVE:
            mount.set_attributes(fd, propagation=planned.propagation, recursive=planned.propagation_recursive)
    except Refusal as refusal:
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from None
    except OSError as error:
        refusal = rootfs.explain(planned, error)
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from error
    return fd


def _make_targets(tmpfs_fd: int, target: str, plan: Plan) -> None:
    """Makes the directories right below a fresh tmpfs on which others of the plan's mounts will lie."""
    prefix = f"{target.rstrip('/')}/"
    for each in plan.mounts:
        name = each.target[len(prefix) :]
        if not each.target.startswith(prefix) or "/" in name or not name:
            continue
        if each.subpath or (each.bind and not os.path.isdir(each.source)):
            continue
        try:
            os.mkdir(name, 0o755, dir_fd=tmpfs_fd)
        except FileExistsError:
            continue
