# SPDX-License-Identifier: Apache-2.0
"""`docker cp`: looks at a path of a container, carries it out as a tar, unpacks a tar there; running or not.

The container's lock is held meanwhile, since a stopped one is mounted for it and must not start on the same files.
Every walk is below a root descriptor, archives are unpacked by our own extractor and decompressed in this process
(security.md §2.3: CVE-2018-15664, CVE-2019-14271, GHSA-x86f-5xw2-fm2r). Called by `api.routes.container_archives`.
Source: Engine API v1.51 ContainerArchive, PutContainerArchive; texts of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from holdfast.containers import Container, path_stat, users
from holdfast.content import compression
from holdfast.engine import container_files, streams
from holdfast.engine.occupation import occupied
from holdfast.engine.packages import Packages
from holdfast.engine.streams import Pipe, Started
from holdfast.errors import HoldfastError, InvalidArgument, NotFound
from holdfast.kernel import paths
from holdfast.snapshots import diff, upload

_ACCOUNTS_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What is at a path; `mode` in Go's bits, `link_target` where a link finally leads."""

    name: str
    size: int
    mode: int
    mtime_nanos: int
    link_target: str


async def look(*, packages: Packages, reference: str, path: str) -> PathStat:
    """What is at the path, its last link not followed; NotFound in Docker's words."""
    container = packages.containers.find(reference)
    async with container.lock:
        await container.settle()
        container.require_sound()
        container.require_kept("use the files of")
        return await asyncio.to_thread(_look, packages, container, reference, path)


async def download(*, packages: Packages, reference: str, path: str) -> tuple[PathStat, Started]:
    """Begins to carry the path out; errors about the path are raised here, before the first byte."""
    container = packages.containers.find(reference)
    told: list[PathStat] = []
    pieces = await streams.start(_pieces(packages, container, reference, path, told.append))
    packages.events.publish("container", "archive-path", container.id, container.attributes())
    return told[0], pieces


async def extract(
    *,
    packages: Packages,
    reference: str,
    path: str,
    archive: AsyncIterator[bytes],
    keeps_kinds: bool,
    gives_to_user: bool,
) -> None:
    """Unpacks the tar, compressed or not, into the directory at the path; see `snapshots.upload` for `keeps_kinds`.

    `gives_to_user`: all belongs to the container's user afterwards. What was unpacked before an error stays.
    """
    container = packages.containers.find(reference)

    def work(source: Pipe) -> None:
        with container_files.opened(packages, container, with_mounts=True) as root_fd:
            try:
                unpack(root_fd, source)
            except OSError as error:  # the container has renamed what was there a moment ago
                raise _explained(error, reference, path, "") from error

    def unpack(root_fd: int, source: Pipe) -> None:
        place = _destination(container, root_fd, reference, path)
        upload.extract(
            root_fd,
            place,
            compression.Reader(source, limits=packages.images.limits),
            keeps_kinds=keeps_kinds,
            limits=packages.config.archive_limits,
            owner=_owner(container, root_fd) if gives_to_user else None,
        )

    await streams.feed(archive, work, lambda pipe: occupied(container, pipe))
    packages.events.publish("container", "extract-to-dir", container.id, container.attributes())


def _pieces(
    packages: Packages, container: Container, reference: str, path: str, tell: Callable[[PathStat], None]
) -> AsyncGenerator[bytes]:
    cleaned = path_stat.clean(path)
    title = os.fsencode(path_stat.base(cleaned))

    def work(target: Pipe) -> None:
        with container_files.opened(packages, container, with_mounts=True) as root_fd:
            try:
                with path_stat.found(root_fd, cleaned) as place:
                    tell(_stat_of(root_fd, cleaned, place))
                    diff.write_place(place.directory_fd, place.name, title, target)
            except OSError as error:
                raise _explained(error, reference, path, cleaned) from error

    return streams.drain(work, lambda pipe: occupied(container, pipe))


def _look(packages: Packages, container: Container, reference: str, path: str) -> PathStat:
    with container_files.opened(packages, container, with_mounts=True) as root_fd:
        try:
            with path_stat.found(root_fd, path) as place:
                return _stat_of(root_fd, path, place)
        except OSError as error:
            raise _explained(error, reference, path, path) from error


def _stat_of(root_fd: int, path: str, place: path_stat.Place) -> PathStat:
    info = place.info
    return PathStat(
        name=path_stat.base(path),
        size=info.st_size,
        mode=path_stat.go_mode(info.st_mode),
        mtime_nanos=info.st_mtime_ns,
        link_target=path_stat.link_target(root_fd, path) if stat.S_ISLNK(info.st_mode) else "",
    )


def _destination(container: Container, root_fd: int, reference: str, path: str) -> str:
    """The directory to unpack into, with no link in it; InvalidArgument where nothing may be written."""
    cleaned = path_stat.clean(path)
    try:
        fd = paths.openat2(root_fd, cleaned, os.O_PATH)
    except OSError as error:
        raise _explained(error, reference, path, "") from error
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise InvalidArgument("extraction point is not a directory")
    finally:
        os.close(fd)
    real = path_stat.link_target(root_fd, cleaned)
    point = container_files.mount_at(container, real)
    if point is not None and not point.rw:
        raise InvalidArgument("mounted volume is marked read-only")
    if point is None and container.record.host_config.readonly_rootfs:
        raise InvalidArgument("container rootfs is marked read-only")
    return real


def _owner(container: Container, root_fd: int) -> tuple[int, int] | None:
    user = container.record.config.user
    if not user:
        return None
    passwd, group = (_accounts(root_fd, name) for name in ("/etc/passwd", "/etc/group"))
    identity = users.resolve(user, (), passwd, group)
    return identity.uid, identity.gid


def _accounts(root_fd: int, name: str) -> bytes:
    try:
        return paths.read_file(root_fd, name, _ACCOUNTS_LIMIT)
    except OSError:
        return b""


def _explained(error: OSError, reference: str, path: str, shown: str) -> HoldfastError:
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in container {reference}")
    reason = os.strerror(error.errno or 0).lower()
    return InvalidArgument(f"lstat {shown}: {reason}" if shown else reason)
