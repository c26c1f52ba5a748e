# SPDX-License-Identifier: Apache-2.0
"""Names the log drivers: the one place that imports them (boot path; also called by the daemon to check options).

The default driver is imported with this module, the others by the first container that wants them.
"""

from __future__ import annotations

from holdfast import errors
from holdfast.logs import policy
from holdfast.logs.drivers import json_file, none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from holdfast.logs.driver import Target, Writer

NAMES = ("fluentd", "gelf", "journald", "json-file", "local", "syslog")
"""The drivers that `info` shows; `none` is a driver too, which Docker does not count."""

_FILES = ("json-file", "local", "none")


def check(driver: str, options: Mapping[str, str]) -> None:
    """Raises InvalidArgument when the driver is unknown or does not take these options."""
    if driver == "none":
        return
    own = policy.check(options)
    _driver(driver).check(own)


def open_writer(target: Target) -> Writer:
    """Opens the log of a container, and the readable copy where it is to be kept.

    Raises InvalidArgument as `check` does, OSError when a file cannot be made, Unavailable when a collector that must
    be there is not.
    """
    driver = _driver(target["driver"])
    if target["driver"] in _FILES:
        writer: Writer = driver.open_writer(target)
        return writer
    from holdfast.logs import courier

    return courier.open_writer(driver, target, _driver("local").open_cache)


def _driver(name: str) -> ModuleType:
    match name:
        case "json-file":
            return json_file
        case "none":
            return none
        case "local":
            from holdfast.logs.drivers import local as driver
        case "syslog":
            from holdfast.logs.drivers import syslog as driver
        case "gelf":
            from holdfast.logs.drivers import gelf as driver
        case "fluentd":
            from holdfast.logs.drivers import fluentd as driver
        case "journald":
            from holdfast.logs.drivers import journald as driver
        case _:
            raise errors.InvalidArgument(f"logger: no log driver named '{name}' is registered")
    return driver
