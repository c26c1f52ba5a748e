# SPDX-License-Identifier: Apache-2.0
"""The options that hold whatever the driver: how much may wait for it, and whether a readable copy is kept (pure,
boot path).

`mode=blocking` (the default): a container waits for its log. `mode=non-blocking`: what does not fit into
`max-buffer-size` is dropped. Docker keeps a copy in the local format for `docker logs` of each driver that cannot be
read, unless `cache-disabled`; the other `cache-` options are those of the local driver. Sources: Docker's documentation of log drivers
and of dual logging; moby `daemon/logger/factory.go`.
"""

from __future__ import annotations

from holdfast import errors
from holdfast.logs import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NON_BLOCKING = "non-blocking"
CACHE_PREFIX = "cache-"
_MODES = ("", "blocking", NON_BLOCKING)
_CACHE = ("disabled", "max-file", "max-size", "compress", *options.COMMON)
_OWN = frozenset(("mode", "max-buffer-size", *(CACHE_PREFIX + name for name in _CACHE)))
_BUFFER_BYTES = 1_000_000


def check(given: Mapping[str, str]) -> dict[str, str]:
    """Looks at these options' values, and returns the others, which are the driver's."""
    mode = given.get("mode", "")
    if mode not in _MODES:
        raise errors.InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in given:
        if mode != NON_BLOCKING:
            raise errors.InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        try:
            options.size(given["max-buffer-size"], base=1024)
        except errors.InvalidArgument as error:
            raise errors.InvalidArgument(f"error parsing option max-buffer-size: {error.message}") from None
    disabled = given.get("cache-disabled")
    try:
        options.boolean(disabled or "false")
    except errors.InvalidArgument:
        raise errors.InvalidArgument(f"invalid value for option cache-disabled: {disabled}") from None
    return drivers_own(given)


def drivers_own(given: Mapping[str, str]) -> dict[str, str]:
    """The options that are the driver's business."""
    return {name: value for name, value in given.items() if name not in _OWN}


def buffer_bytes(given: Mapping[str, str]) -> int:
    """How much may wait before something is dropped; 0 when nothing is dropped and the container waits."""
    if given.get("mode", "") != NON_BLOCKING:
        return 0
    return options.size(given["max-buffer-size"], base=1024) if "max-buffer-size" in given else _BUFFER_BYTES


def is_cached(given: Mapping[str, str]) -> bool:
    """Whether a copy is kept for reading."""
    return not options.boolean(given.get("cache-disabled") or "false")


def cache_options(given: Mapping[str, str]) -> dict[str, str]:
    """The copy's own options, for the local driver."""
    wanted = {name.removeprefix(CACHE_PREFIX): value for name, value in given.items() if name.startswith(CACHE_PREFIX)}
    wanted.pop("disabled", None)
    return wanted


def inherit_cache(given: Mapping[str, str], daemons: Mapping[str, str]) -> dict[str, str]:
    """A container's options with the daemon's about the copy where it has none: they hold for every driver."""
    ours = {name: value for name, value in daemons.items() if name.startswith(CACHE_PREFIX) and name in _OWN}
    return {**ours, **given}
