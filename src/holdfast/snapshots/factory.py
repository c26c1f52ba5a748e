# SPDX-License-Identifier: Apache-2.0
"""The one place that knows the snapshot drivers by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.errors import InvalidArgument, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.snapshots.driver import Driver
    from holdfast.snapshots.tar import Limits

DEFAULT = "overlay2"
_NAMES = ("overlay2", "vfs", "erofs")


def drivers() -> tuple[str, ...]:
    """The names that `open_driver` takes."""
    return _NAMES


def open_driver(name: str, data_root: str, limits: Limits | None = None) -> Driver:
    """Opens the driver's stock in `<data_root>/<name>`; InvalidArgument for a name that is none, Unsupported here."""
    probe, make = _load(name)
    reason = probe()
    if reason is not None:
        raise Unsupported(f"storage driver {name} cannot be used: {reason}")
    return make(os.path.join(os.path.abspath(data_root), name), limits)


def complaint(name: str) -> str | None:
    """Why the driver cannot work with this kernel, None when it can; InvalidArgument for a name that is none."""
    return _load(name)[0]()


def _load(name: str) -> tuple[Callable[[], str | None], Callable[[str, Limits | None], Driver]]:
    """The driver's probe and class; a daemon has one driver, and each has code of its own."""
    if name not in _NAMES:
        raise InvalidArgument(f'unknown storage driver "{name}": expected one of {", ".join(_NAMES)}')
    if name == "erofs":
        from holdfast.snapshots.drivers import erofs

        return erofs.probe, erofs.Erofs
    if name == "vfs":
        from holdfast.snapshots.drivers import vfs

        return vfs.probe, vfs.Vfs
    from holdfast.snapshots.drivers import overlay2

    return overlay2.probe, overlay2.Overlay2
