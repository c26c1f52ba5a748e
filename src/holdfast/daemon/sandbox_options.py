# SPDX-License-Identifier: Apache-2.0
"""The daemon's defaults for containers' sandboxes: ulimits, seccomp profile, namespace modes. Called by `config`, `wiring`.

Reads the profile's file and nothing else. Source: dockerd 28.5.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from typing import Any, cast

from holdfast.containers import sandbox, seccomp_file, spec
from holdfast.errors import InvalidArgument
from holdfast.runtime import defaults


def parse_ulimits(given: Mapping[str, object]) -> dict[str, tuple[int, int]]:
    """Name to (soft, hard); the file's form is `{"nofile": {"Name": …, "Hard": …, "Soft": …}}`, the flag's `nofile=1:2`."""
    found: dict[str, tuple[int, int]] = {}
    for name, value in given.items():
        if name not in spec.RLIMITS:
            raise InvalidArgument(f"invalid ulimit type: {name}")
        if isinstance(value, Mapping):
            members = cast("Mapping[str, object]", value)
            words = [members.get("Soft", 0), members.get("Hard", 0)]
        else:
            soft, _, hard = str(value).partition(":")
            words = [soft, hard or soft]
        try:
            limit = (int(str(words[0])), int(str(words[1])))
        except ValueError:
            raise InvalidArgument(f"invalid default ulimit {name}: {value}") from None
        if limit[1] != -1 and (limit[0] > limit[1] or limit[0] == -1):
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {limit[0]} > {limit[1]}"
            )
        found[name] = limit
    return found


def check_modes(ipc: str, cgroupns: str) -> None:
    """Refuses modes that cannot be a default."""
    if ipc not in ("private", "shareable"):
        raise InvalidArgument(f"IPC mode {ipc!r} is not supported as default value")
    if cgroupns not in ("", "host", "private"):
        raise InvalidArgument(f"default cgroup namespace mode ({cgroupns}) is invalid")


def masked_paths() -> tuple[str, ...]:
    """The standard ones and the one whose name depends on the machine."""
    return (*defaults.MASKED_PATHS, *sorted(glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")))


def has_apparmor() -> bool:
    """Whether the kernel confines by AppArmor profiles."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            return file.read().startswith("Y")
    except OSError:
        return False


def read(seccomp: str, *, no_new_privileges: bool) -> sandbox.SandboxDefaults:
    """The defaults, with the profile's file read; InvalidArgument names it."""
    profile: Mapping[str, Any] | None = None
    if seccomp not in ("", sandbox.BUILTIN, sandbox.UNCONFINED):
        try:
            with open(seccomp, "rb") as file:
                profile = seccomp_file.decode(file.read())
        except OSError as error:
            raise InvalidArgument(
                f"opening seccomp profile ({seccomp}) failed: {(error.strerror or 'error').lower()}"
            ) from None
        seccomp = ""
    elif not seccomp:
        seccomp = sandbox.BUILTIN
    return sandbox.SandboxDefaults(no_new_privileges=no_new_privileges, seccomp=seccomp, seccomp_profile=profile)
