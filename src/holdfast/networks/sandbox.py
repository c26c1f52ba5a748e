# SPDX-License-Identifier: Apache-2.0
"""A container's network namespace: made, or taken from the spare one, and named."""

from __future__ import annotations

import os
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netns, rtnetlink

_LOOPBACK = 1
# An endpoint without IPv6 address gets no link-local one either: the interface is born after this is written.
_SYSCTLS = (("ipv6/conf/default/disable_ipv6", "1"),)


def open_namespace(
    path: str, sysctls: Sequence[tuple[str, str]] = (), *, spare: netns.Netns | None = None
) -> netns.Netns:
    """A named namespace with loopback up, `spare` if there is one; raises Internal and leaves nothing."""
    made = spare or make_namespace(sysctls)
    try:
        netns.name(made, path)
    except OSError as error:
        made.close()
        raise errors.Internal(f"failed to name network namespace {path}: {error.strerror}") from error
    return made


def make_namespace(sysctls: Sequence[tuple[str, str]] = ()) -> netns.Netns:
    """One without a name, with loopback up; raises Internal and leaves nothing."""
    try:
        made = netns.make((*(_SYSCTLS if has_ipv6() else ()), *sysctls))
    except OSError as error:
        raise errors.Internal(f"failed to make network namespace: {error.strerror}") from error
    try:
        made.links.execute(rtnetlink.set_link(_LOOPBACK, is_up=True))
    except OSError as error:
        made.close()
        raise errors.Internal(f"failed to raise loopback in a network namespace: {error.strerror}") from error
    return made


def has_ipv6() -> bool:
    """Whether the calling thread's host has the protocol at all."""
    return os.path.exists("/proc/sys/net/ipv6")
