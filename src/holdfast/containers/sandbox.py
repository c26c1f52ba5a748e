# SPDX-License-Identifier: Apache-2.0
"""Capabilities and `--security-opt`: what the words mean. Pure; called by `spec` and the job create.

Source: moby 28 `oci/caps`, `daemon/daemon_unix.go` parseSecurityOpt; texts seen from dockerd 28.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from holdfast.containers.validation import capability_name
from holdfast.errors import InvalidArgument
from holdfast.kernel import capabilities
from holdfast.runtime import defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """The parsed list. `seccomp_profile` is an OCI linux.seccomp object, None for the default."""

    no_new_privileges: bool = False
    is_seccomp_unconfined: bool = False
    is_system_unconfined: bool = False
    seccomp_profile: dict[str, Any] | None = None


def parse_security_options(options: Sequence[str]) -> SecurityOptions:
    """Understands every option; InvalidArgument for one that is none."""
    no_new_privileges = seccomp_off = system_off = False
    profile: dict[str, Any] | None = None
    for option in options:
        if option == "no-new-privileges":
            no_new_privileges = True
            continue
        separator = "=" if "=" in option else ":"
        key, found, value = option.partition(separator)
        if not found:
            raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
        match key:
            case "no-new-privileges":
                no_new_privileges = _boolean(option, value)
            case "seccomp":
                seccomp_off = value == "unconfined"
                profile = None if value in ("unconfined", "builtin", "default") else _profile(value)
            case "systempaths" if value == "unconfined":
                system_off = True
            case "apparmor" | "label" | "writable-cgroups":
                continue
            case _:
                raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(
        no_new_privileges=no_new_privileges,
        is_seccomp_unconfined=seccomp_off,
        is_system_unconfined=system_off,
        seccomp_profile=profile,
    )


def effective_capabilities(add: Sequence[str], drop: Sequence[str], privileged: bool) -> list[str]:
    """Docker's arithmetic: the default set, or all, or none, less the dropped, plus the added."""
    if privileged:
        return list(capabilities.NAMES)
    added = {capability_name(name) for name in add}
    dropped = {capability_name(name) for name in drop}
    if "ALL" in added:
        base = set(capabilities.NAMES) - dropped
    elif "ALL" in dropped:
        base = added
    else:
        base = (set(defaults.CAPABILITIES) - dropped) | added
    return [name for name in capabilities.NAMES if name in base]


def _boolean(option: str, value: str) -> bool:
    if value not in ("true", "false", "1", "0"):
        raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return value in ("true", "1")


def _profile(text: str) -> dict[str, Any]:
    """The client sends the file's content; Docker's form (with includes and archMap) is reduced by the runtime."""
    try:
        decoded: object = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
    if not isinstance(decoded, dict):
        raise InvalidArgument("Decoding seccomp profile failed: it is not an object")
    return cast("dict[str, Any]", decoded)
