# SPDX-License-Identifier: Apache-2.0
"""Session keyrings: a container gets one of its own, so the host's keys are not in its reach. Source: keyctl(2)."""

from __future__ import annotations

import os

from holdfast.kernel import syscalls

_JOIN_SESSION_KEYRING = 1
_SETPERM = 5
_POSSESSOR_ALL_USER_SEARCH = 0x3F0B0000


def join_session(name: str) -> int:
    """Joins the session keyring `name` of this user, made if missing; returns its serial number. ENOSYS without keys."""
    return syscalls.call(syscalls.KEYCTL, _JOIN_SESSION_KEYRING, os.fsencode(name))


def let_user_search(serial: int) -> None:
    """Lets the keyring's user see and search it, so that a later exec can join it."""
    syscalls.call(syscalls.KEYCTL, _SETPERM, serial, _POSSESSOR_ALL_USER_SEARCH)
