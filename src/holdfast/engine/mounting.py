# SPDX-License-Identifier: Apache-2.0
"""What a container's mount points stand for on the host, for as long as it runs: volumes mounted, images viewed, binds
checked.

A container without mount points costs nothing here; one with plain volumes and binds only a look at each, on the loop's
own thread; what has to be mounted first is, in another. Called by the jobs create, start, reap and restore.
Source: moby 28 `daemon/volumes_unix.go`; texts of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar, cast

from holdfast import images
from holdfast.containers import Container, Record, mount_wishes
from holdfast.containers.record import MountPoint
from holdfast.engine import rootfs
from holdfast.engine.packages import Packages
from holdfast.errors import Corrupt, HoldfastError, InvalidArgument, NotFound
from holdfast.kernel import mount_table, paths
from holdfast.oci.mount import Mount

_LOG = logging.getLogger("holdfast.engine")
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """By destination: the directory of each volume, the mount of each image."""

    volumes: Mapping[str, str] = field(default_factory=dict[str, str])
    images: Mapping[str, Mount] = field(default_factory=dict[str, Mount])


NOTHING = Sources()


async def attach(packages: Packages, container: Container) -> Sources:
    """Everything mounted that has to be; InvalidArgument, Unavailable. `detach` undoes it, also when this fails."""
    points = container.record.mounts
    if not points:
        return NOTHING
    if are_at_hand(packages, points):
        return _attach(packages, container.record)
    return await apart(_attach, packages, container.record)


async def detach(packages: Packages, container: Container) -> None:
    """Lets go of the volumes; one that cannot be unmounted is logged and left to the next start of the daemon."""
    for point in container.record.mounts:
        if point.type != "volume":
            continue
        try:
            if are_at_hand(packages, [point]):
                packages.volumes.release(point.name, container.id)
            else:
                await apart(packages.volumes.release, point.name, container.id)
        except (HoldfastError, OSError) as error:
            _LOG.warning("volume %s of %s: %s", point.name, container.id[:12], error)


def adopt(packages: Packages) -> None:
    """Counts what the containers that outlived the last daemon use, and unmounts what nobody does. Blocks."""
    for container in packages.containers:
        for point in container.record.mounts:
            if point.type == "volume" and container.state.has_process:
                packages.volumes.adopt(point.name, container.id)
    try:
        for path in packages.volumes.settle():
            _LOG.info("unmounted %s, which nobody used", path)
    except OSError as error:
        _LOG.error("volumes that nobody uses cannot be unmounted: %s", error)


def view_key(container_id: str, destination: str) -> str:
    """The snapshot that shows an image at that place of the container; it begins with the container's id."""
    return f"{container_id}-{hashlib.sha256(destination.encode()).hexdigest()[:16]}"


def make_views(packages: Packages, record: Record, found: Mapping[str, images.Image]) -> None:
    """A view of each image that the container mounts; it keeps the layers, even from `rmi -f`. Blocks."""
    for point in record.mounts:
        if point.type == "image":
            packages.snapshots.view(view_key(record.id, point.destination), found[point.destination].chain_id)


def mend_views(packages: Packages, record: Record) -> None:
    """Makes those again that the disk has lost, where their image is there. Blocks."""
    for point in record.mounts:
        if point.type == "image":
            with contextlib.suppress(NotFound):
                chain = packages.images.get(point.source).chain_id
                _mend_view(packages, view_key(record.id, point.destination), chain)


def _mend_view(packages: Packages, key: str, chain: str | None) -> None:
    with contextlib.suppress(NotFound, Corrupt):
        if packages.snapshots.parent(key) == chain:
            return
    with contextlib.suppress(NotFound):
        packages.snapshots.remove(key)
    packages.snapshots.view(key, chain)


def remove_views(packages: Packages, record: Record) -> None:
    """Removes them; those that are not there are no error. Blocks."""
    for point in record.mounts:
        if point.type == "image":
            try:
                packages.snapshots.remove(view_key(record.id, point.destination))
            except NotFound:
                continue


def are_at_hand(packages: Packages, points: Iterable[MountPoint]) -> bool:
    """Tells whether nothing has to be mounted for them, and nobody be asked who may not answer."""
    return all(
        packages.volumes.get(point.name).is_plain
        for point in points
        if point.type == "volume" and packages.volumes.has(point.name)
    )


async def apart(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Runs it in a thread of its own: a file server that is silent must not take one of the few that all jobs share."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: BaseException | None) -> None:
        if outcome.cancelled():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(cast("R", result))

    def run() -> None:
        result, failure = None, None
        try:
            result = function(*arguments, **named)
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the daemon has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="volume", daemon=True).start()
    return await outcome


def _attach(packages: Packages, record: Record) -> Sources:
    directories: dict[str, str] = {}
    views: dict[str, Mount] = {}
    for point in record.mounts:
        if point.type == "volume":
            source = packages.volumes.acquire(point.name, record.id)
            if point.subpath:
                _check_subpath(paths.open_root(source), source, point.subpath)
            directories[point.destination] = point.source = source  # a plugin's is known only now
        elif point.type == "image":
            view = views[point.destination] = packages.snapshots.mounts(view_key(record.id, point.destination))[0]
            if point.subpath:
                _check_subpath(rootfs.detached(view), f"image {point.name}", point.subpath)
        elif point.type == "bind":
            _check_bind(point)
    return Sources(volumes=directories, images=views)


def _check_bind(point: MountPoint) -> None:
    if not os.path.exists(point.source):
        if "create" not in point.options:
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )
        try:
            os.makedirs(point.source, 0o755, exist_ok=True)
        except OSError as error:
            raise InvalidArgument(
                f"error while creating mount source path '{point.source}': {(error.strerror or '').lower()}"
            ) from None
    if mount_wishes.IF_POSSIBLE in point.options:
        found = mount_table.find(os.path.realpath(point.source))
        point.propagation = "rslave" if found.is_shared or found.is_slave else "rprivate"
        return
    kind = point.propagation.removeprefix("r")
    if kind not in ("shared", "slave"):
        return
    found = mount_table.find(os.path.realpath(point.source))
    if not found.is_shared and not (kind == "slave" and found.is_slave):
        wanted = "a shared mount" if kind == "shared" else "a shared or slave mount"
        raise InvalidArgument(f"path {point.source} is mounted on {found.target} but it is not {wanted}")


def _check_subpath(root_fd: int, root: str, subpath: str) -> None:
    """Says what is wrong before anything is made, and closes the descriptor of `root`.

    What is mounted is looked up again by the runtime, at that moment.
    """
    try:
        os.close(paths.openat2(root_fd, subpath, os.O_PATH, resolve=paths.BENEATH))
    except FileNotFoundError:
        path = f"{root}/{subpath}"
        raise InvalidArgument(f"cannot access path {path}: lstat {path}: no such file or directory") from None
    except OSError:
        raise InvalidArgument(
            f"path concatenation escapes the base directory, base: {root}, subpath: {subpath}"
        ) from None
    finally:
        os.close(root_fd)
