# SPDX-License-Identifier: Apache-2.0
"""Keys and names of snapshots as directory names.

A chain id's directory is its hexadecimal part, any other name is its own directory; nothing else may become a path.
"""

from __future__ import annotations

import re

from holdfast.errors import InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,199}", re.ASCII)


def directory(name: str) -> str:
    """The directory name for a key or name; InvalidArgument unless it is a digest or a plain word."""
    if digests.is_digest(name):
        return digests.encoded(Digest(name))
    if not _PLAIN.fullmatch(name):
        raise InvalidArgument(f"invalid snapshot name {name[:160]!r}")
    return name
