# SPDX-License-Identifier: Apache-2.0
"""The one place that knows the snapshot drivers by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.errors import InvalidArgument, Unsupported
from holdfast.snapshots.drivers import erofs, overlay2, vfs

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.snapshots.driver import Driver
    from holdfast.snapshots.tar import Limits

DEFAULT = "overlay2"
_PROBES: dict[str, Callable[[], str | None]] = {"overlay2": overlay2.probe, "vfs": vfs.probe, "erofs": erofs.probe}
_DRIVERS = {"overlay2": overlay2.Overlay2, "vfs": vfs.Vfs, "erofs": erofs.Erofs}


def drivers() -> tuple[str, ...]:
    """The names that `open_driver` takes."""
    return tuple(_PROBES)


def open_driver(name: str, data_root: str, limits: Limits | None = None) -> Driver:
    """Opens the driver's stock in `<data_root>/<name>`; InvalidArgument for a name that is none, Unsupported here."""
    if name not in _PROBES:
        raise InvalidArgument(f'unknown storage driver "{name}": expected one of {", ".join(_PROBES)}')
    reason = _PROBES[name]()
    if reason is not None:
        raise Unsupported(f"storage driver {name} cannot be used: {reason}")
    root = os.path.join(os.path.abspath(data_root), name)
    return _DRIVERS[name](root, limits)
