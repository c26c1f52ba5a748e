# SPDX-License-Identifier: Apache-2.0
"""Names the log drivers: the one place that imports them (boot path; also called by the daemon to check options)."""

from __future__ import annotations

from holdfast import errors
from holdfast.logs.drivers import json_file, none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from holdfast.logs.driver import Writer

_DRIVERS: Mapping[str, ModuleType] = {"json-file": json_file, "none": none}

NAMES = tuple(_DRIVERS)
READABLE = ("json-file",)
"""The drivers whose output `logs.reader` can read back."""


def check(driver: str, options: Mapping[str, str]) -> None:
    """Raises InvalidArgument when the driver is unknown or does not take these options."""
    _driver(driver).check(options)


def open_writer(driver: str, path: str, options: Mapping[str, str], attributes: Mapping[str, str]) -> Writer:
    """Opens the log of a container; `attributes` are kept with every entry (labels, tag).

    Raises InvalidArgument as `check` does, OSError when the file cannot be made.
    """
    return _driver(driver).open_writer(path, options, attributes)


def _driver(name: str) -> ModuleType:
    try:
        return _DRIVERS[name]
    except KeyError:
        raise errors.InvalidArgument(f"logger: no log driver named '{name}' is registered") from None
