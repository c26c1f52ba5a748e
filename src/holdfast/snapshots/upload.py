# SPDX-License-Identifier: Apache-2.0
"""Unpacks an archive of files into a directory of a tree that somebody may be changing meanwhile: `docker cp`, inwards.

As `apply`, with other rules: names beginning with `.wh.` are plain names, the archive's own root entry is passed over,
and links that are in the tree already are followed, from the root of the tree. Called by the job archive.
Source: Engine API v1.51 PutContainerArchive; texts of dockerd 28.5.
"""

from __future__ import annotations

import os
import stat

from holdfast.errors import InvalidArgument
from holdfast.kernel import paths
from holdfast.snapshots import apply, whiteouts
from holdfast.snapshots.driver import Readable
from holdfast.snapshots.tar import Entry, Kind, Limits, Reader


def extract(
    root_fd: int,
    directory: str,
    tar: Readable,
    *,
    keeps_kinds: bool = False,
    owner: tuple[int, int] | None = None,
    limits: Limits | None = None,
) -> None:
    """Unpacks the uncompressed tar into `directory` of the tree; what was unpacked before an error stays.

    With `keeps_kinds` a directory is never replaced by something else, nor the other way round. `owner` is given to
    all that is made, instead of the archive's owners.
    """
    extractor = _Upload(root_fd, directory, Reader(tar, limits), keeps_kinds=keeps_kinds, owner=owner)
    try:
        extractor.run()
    finally:
        extractor.close()


class _Upload(apply.Extractor):
    def __init__(
        self, root_fd: int, directory: str, reader: Reader, *, keeps_kinds: bool, owner: tuple[int, int] | None
    ) -> None:
        super().__init__(paths.openat2(root_fd, directory, os.O_RDONLY | os.O_DIRECTORY), reader, whiteouts.Direct())
        self._tree_fd = root_fd
        self._prefix = os.fsencode(directory).rstrip(b"/") + b"/"
        self._keeps_kinds = keeps_kinds
        self._owner = owner

    def _walk(self, path: bytes, flags: int) -> int:
        return paths.openat2(self._tree_fd, self._prefix + path, flags)

    def _member(self, entry: Entry) -> None:
        try:
            parts = apply.clean(entry.name)
        except apply.ClimbsOut:
            raise InvalidArgument(f'invalid entry name "{os.fsdecode(entry.name)}"') from None
        if not parts:
            return
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        self._place(entry, parts)

    def _place(self, entry: Entry, parts: list[bytes]) -> None:
        if self._keeps_kinds:
            self._check_kinds(entry, parts)
        super()._place(entry, parts)

    def _check_kinds(self, entry: Entry, parts: list[bytes]) -> None:
        try:
            fd = self._walk(b"/".join(parts), os.O_PATH | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
        if is_directory == (entry.kind == Kind.DIRECTORY):
            return
        name, place = os.fsdecode(b"/".join(parts)), os.fsdecode(self._prefix.rstrip(b"/")) or "/"
        old, new = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
        raise InvalidArgument(f'cannot overwrite {old} "{name}" with {new} "{place}"')
