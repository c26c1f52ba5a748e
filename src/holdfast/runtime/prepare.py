# SPDX-License-Identifier: Apache-2.0
"""What the maker makes ready before the clone: mounts without a place, and a /dev with its nodes.

Work done here costs no page faults (a forked child pays some 4 µs for every page that it writes) and happens while no
container exists. What depends on the container's namespaces is left to `rootfs` in the init: proc (pid), sysfs
(network), mqueue (ipc), cgroup2 (cgroup), and all of it when there is a user namespace, which then must own the mounts.
A copy made here of a shared host mount stays its peer, which is what `rshared` means.

A maker that waits for its start can go further (`Stock`): the file systems that nearly every container has are no
container's yet, so they are made before it is known whose they will be, and taken when what is asked for is the same.
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
    from holdfast.runtime.plan import Device, Plan

_CGROUPS = "/sys/fs/cgroup"
_MADE_AHEAD = frozenset(("tmpfs", "devpts"))
_OF_THE_CONTAINER = frozenset(("proc", "sysfs", "mqueue", "cgroup", "cgroup2"))


class Prepared:
    """Detached mounts, one for each planned mount (-1: the init makes it), and whether /dev has its nodes already."""

    __slots__ = ("has_devices", "mounts")

    def __init__(self, mounts: Sequence[int], has_devices: bool) -> None:
        self.mounts = mounts
        self.has_devices = has_devices


class Stock:
    """File systems without a place and without an owner, made ahead by a plan of the usual shape."""

    __slots__ = ("_fds", "_links", "_plan")

    def __init__(self, plan: Plan, links: Sequence[tuple[str, str]]) -> None:
        """Makes every file system of `plan` that is the same for every container; StartError."""
        self._plan = plan
        self._links = links
        self._fds = [_detach(each) if each.fstype in _MADE_AHEAD and not each.bind else -1 for each in plan.mounts]
        for each, fd in zip(plan.mounts, self._fds, strict=True):
            if fd >= 0 and each.is_tmpfs:
                _furnish(fd, each.target, plan, links)

    def close(self) -> None:
        """Gives back what nobody has taken."""
        for fd in self._fds:
            if fd >= 0:
                os.close(fd)
        self._fds = []
        self._plan.mounts = ()

    def take(self, wanted: PlannedMount, plan: Plan, links: Sequence[tuple[str, str]]) -> int:
        """Gives the one away that is what `plan` wants, content and all; -1 when there is none."""
        for number, made in enumerate(self._plan.mounts):
            if made.target == wanted.target and self._fds[number] >= 0:
                if not _are_same(made, wanted) or not self._holds_the_same(made.target, plan, links):
                    return -1
                fd, self._fds[number] = self._fds[number], -1
                return fd
        return -1

    def _holds_the_same(self, target: str, plan: Plan, links: Sequence[tuple[str, str]]) -> bool:
        if _names_below(target, plan) != _names_below(target, self._plan):
            return False
        if target == "/dev":
            ours, theirs = self._plan.devices, plan.devices
            return plan.has_plain_dev and len(ours) == len(theirs) and all(map(_are_same, ours, theirs))
        return target != _CGROUPS or list(links) == list(self._links)


def _are_same(one: PlannedMount | Device, other: PlannedMount | Device) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in one.__slots__)


def prepare(plan: Plan, links: Sequence[tuple[str, str]], held: list[int], stock: Stock | None = None) -> Prepared:
    """Makes what can be made, or takes it from the stock; descriptors are added to `held`. StartError.

    `links` belong into the cgroup tmpfs.
    """
    joined = 0
    for kind, _ in plan.joins:
        joined |= kind
    if (plan.clone_flags | joined) & namespaces.NEWUSER:
        return Prepared([_detach_mapped(each, held) for each in plan.mounts], False)
    made: list[int] = []
    has_devices = False
    for each in plan.mounts:
        if each.fstype in _OF_THE_CONTAINER and not each.bind:
            made.append(-1)
            continue
        if each.is_tmpfs and not any(word.startswith("mode=") for word in each.data):
            made.append(-1)  # its mode is that of the directory which it covers
            continue
        fd = -1 if stock is None or each.bind else stock.take(each, plan, links)
        is_furnished = fd >= 0 or not each.is_tmpfs
        if fd < 0:
            fd = _detach(each)
        made.append(fd)
        held.append(fd)
        if not is_furnished:
            _furnish(fd, each.target, plan, links)
        has_devices |= each.target == "/dev" and each.is_tmpfs and plan.has_plain_dev
    return Prepared(made, has_devices)


def _furnish(fd: int, target: str, plan: Plan, links: Sequence[tuple[str, str]]) -> None:
    """Puts into a fresh tmpfs what `plan` has below it: directories for other mounts, devices, links. StartError."""
    previous = os.umask(0)
    try:
        for name in _names_below(target, plan):
            os.mkdir(name, 0o755, dir_fd=fd)
        if target == "/dev" and plan.has_plain_dev:
            devices.fill(fd, plan.devices)
        elif target == _CGROUPS:
            devices.link(fd, links)
    except Refusal as refusal:
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from None
    finally:
        os.umask(previous)


def _detach_mapped(planned: PlannedMount, held: list[int]) -> int:
    """Only who owns a file system may map its ids, which the container's user namespace does not."""
    if planned.id_maps is None:
        return -1
    held.append(_detach(planned))
    return held[-1]


def _detach(planned: PlannedMount) -> int:
    try:
        fd = rootfs.make_detached(planned)
        _set_propagation(fd, planned)
    except Refusal as refusal:
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from None
    except OSError as error:
        refusal = rootfs.explain(planned, error)
        raise StartError(refusal.text, step=refusal.step, errno=refusal.errno) from error
    return fd


def _set_propagation(fd: int, planned: PlannedMount) -> None:
    """A bind hears of the host's later mounts, and tells the host of none, unless it is asked for otherwise."""
    kind = planned.propagation or (mount.MS_SLAVE if planned.bind else 0)
    is_for_all = planned.propagation_recursive or kind == mount.MS_SLAVE
    if planned.bind and planned.recursive and not is_for_all and kind != mount.MS_SHARED:
        mount.set_attributes(fd, propagation=mount.MS_SLAVE, recursive=True)  # also what lies below
    if kind:
        mount.set_attributes(fd, propagation=kind, recursive=is_for_all)


def _names_below(target: str, plan: Plan) -> set[str]:
    """The names of the directories right below a tmpfs on which others of the plan's mounts will lie."""
    prefix = f"{target.rstrip('/')}/"
    names: set[str] = set()
    for each in plan.mounts:
        name = each.target[len(prefix) :]
        if not each.target.startswith(prefix) or "/" in name or not name:
            continue
        if not each.subpath and (not each.bind or os.path.isdir(each.source)):
            names.add(name)
    return names
