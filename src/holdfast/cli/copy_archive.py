# SPDX-License-Identifier: Apache-2.0
"""Packs files of this machine for `hold cp`, and unpacks what comes from a container.

A container's archive is untrusted: names that climb are refused, no link inside the archive or below the destination is
ever followed (each directory is opened by its one name), owners, set-id bits and device nodes are not taken over.
"""

from __future__ import annotations

import os
import stat
import tarfile
from typing import IO, cast

from holdfast import errors
from holdfast.cli.copy_plan import renamed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK_BYTES = 1 << 18
_BLOCK = tarfile.BLOCKSIZE
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def pack(path: str, name: str) -> Iterator[bytes]:
    """The tar of a file, link or directory, in which it is called `name`; links are kept as links."""
    maker = tarfile.TarFile(fileobj=cast("IO[bytes]", _Nowhere()), mode="w")
    for own, title in _walk(path.removesuffix("/.") or "/", name):
        info = maker.gettarinfo(own, arcname=title)
        if info.name == "":
            info.name = "/"
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if info.isreg():
            yield from _content(own, info.size)
    yield bytes(2 * _BLOCK)


class _Nowhere:
    """A file that is never written: only the maker of member headers needs it."""

    def tell(self) -> int:
        return 0


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    info = os.lstat(path)
    if stat.S_ISSOCK(info.st_mode):
        return
    yield path, name
    if stat.S_ISDIR(info.st_mode):
        for child in sorted(os.listdir(path)):
            yield from _walk(f"{path.rstrip('/')}/{child}", f"{name.rstrip('/')}/{child}")


def _content(path: str, size: int) -> Iterator[bytes]:
    left = size
    with open(path, "rb") as file:
        while left:
            piece = file.read(min(left, _CHUNK_BYTES)) or bytes(min(left, _CHUNK_BYTES))
            left -= len(piece)
            yield piece
    yield bytes(-size % _BLOCK)


def unpack(pieces: Iterable[bytes], directory: str, old: str, new: str) -> int:
    """Unpacks into the directory, the archive's first name changed from `old` to `new`; returns the bytes of files."""
    total = 0
    top_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    late: list[tuple[list[str], tarfile.TarInfo]] = []
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Pieces(pieces)), mode="r|") as archive:
            for member in archive:
                parts = _parts(renamed(member.name, old, new))
                if not parts:
                    continue
                _place(
                    archive, member, top_fd, parts, _parts(renamed(member.linkname, old, new)) if member.islnk() else []
                )
                total += member.size if member.isreg() else 0
                if member.isdir():
                    late.append((parts, member))
        for parts, member in reversed(late):
            fd = _open(top_fd, parts)
            os.fchmod(fd, member.mode & 0o1777)
            os.utime(fd, (member.mtime, member.mtime))
            os.close(fd)
    except tarfile.TarError as error:
        raise errors.Unavailable(f"the daemon sent a damaged archive: {error}") from error
    finally:
        os.close(top_fd)
    return total


class _Pieces:
    """The download as a file to read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._ahead = b""

    def read(self, size: int) -> bytes:
        while len(self._ahead) < size and (piece := next(self._pieces, b"")):
            self._ahead += piece
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise errors.InvalidArgument(f"the archive has the name {name!r}, which leads out of the destination")
    return parts


def _open(top_fd: int, parts: list[str], *, makes: bool = False) -> int:
    fd = os.dup(top_fd)
    for part in parts:
        try:
            if makes:
                try:
                    os.mkdir(part, 0o755, dir_fd=fd)
                except FileExistsError:
                    pass
            below = os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, top_fd: int, parts: list[str], link: list[str]) -> None:
    name = parts[-1]
    parent_fd = _open(top_fd, parts[:-1], makes=True)
    try:
        _make_room(parent_fd, name, member)
        if member.isdir():
            try:
                os.mkdir(name, 0o700, dir_fd=parent_fd)
            except FileExistsError:
                return
        elif member.isreg():
            _write(archive, member, parent_fd, name)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent_fd)
        elif member.isfifo():
            os.mkfifo(name, member.mode & 0o777, dir_fd=parent_fd)
        elif member.islnk():
            source_fd = _open(top_fd, link[:-1])
            try:
                os.link(link[-1], name, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
            finally:
                os.close(source_fd)
    finally:
        os.close(parent_fd)


def _make_room(parent_fd: int, name: str, member: tarfile.TarInfo) -> None:
    try:
        is_directory = stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return
    if is_directory and not member.isdir():
        raise errors.InvalidArgument(f'cannot overwrite directory "{name}" with non-directory')
    if not is_directory and member.isdir():
        raise errors.InvalidArgument(f'cannot overwrite non-directory "{name}" with directory')
    if not is_directory:
        os.unlink(name, dir_fd=parent_fd)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, parent_fd: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    content = archive.extractfile(member)
    with open(os.open(name, flags, 0o600, dir_fd=parent_fd), "wb") as file:
        while content is not None and (piece := content.read(_CHUNK_BYTES)):
            file.write(piece)
        file.flush()
        os.fchmod(file.fileno(), member.mode & 0o777)
        os.utime(file.fileno(), (member.mtime, member.mtime))
