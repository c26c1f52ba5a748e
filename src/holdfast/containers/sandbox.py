# SPDX-License-Identifier: Apache-2.0
"""Capabilities and `--security-opt`: what the words mean. Pure; called by `spec` and the jobs create, start and exec.

Source: moby 28 `oci/caps`, `daemon/daemon_unix.go` parseSecurityOpt; texts seen from dockerd 28.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.containers import seccomp_file
from holdfast.containers.validation import capability_name
from holdfast.errors import InvalidArgument
from holdfast.kernel import capabilities
from holdfast.runtime import defaults

UNCONFINED, BUILTIN = "unconfined", "builtin"
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxDefaults:
    """What the daemon's configuration says for containers that say nothing."""

    no_new_privileges: bool = False
    seccomp: str = BUILTIN
    seccomp_profile: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """The parsed list. `seccomp` is builtin, unconfined, or empty where `seccomp_profile` (as users write it) counts.

    `apparmor` is the name of a profile, empty when none was asked for.
    """

    no_new_privileges: bool = False
    seccomp: str = BUILTIN
    seccomp_profile: Mapping[str, Any] | None = None
    has_writable_cgroups: bool | None = None
    apparmor: str = ""


STANDARD = SandboxDefaults()


def parse_security_options(options: Sequence[str], standard: SandboxDefaults = STANDARD) -> SecurityOptions:
    """Understands every option; InvalidArgument for one that is none."""
    no_new_privileges = standard.no_new_privileges
    seccomp, profile = standard.seccomp, standard.seccomp_profile
    has_writable_cgroups: bool | None = None
    apparmor = ""
    for option in options:
        if option == "no-new-privileges":
            no_new_privileges = True
            continue
        if option == "writable-cgroups":
            has_writable_cgroups = True
            continue
        if option == "disable":  # the old form of label=disable
            continue
        key, found, value = option.partition("=" if "=" in option else ":")
        if not found:
            raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
        match key:
            case "no-new-privileges":
                no_new_privileges = _boolean(option, value)
            case "writable-cgroups":
                has_writable_cgroups = _boolean(option, value)
            case "seccomp":
                is_word = value in (UNCONFINED, BUILTIN)
                seccomp, profile = (value, None) if is_word else ("", seccomp_file.decode(value))
            case "apparmor":
                apparmor = value
            case "label":
                continue  # there is no SELinux that it could be for: see validation
            case _:
                raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(
        no_new_privileges=no_new_privileges,
        seccomp=seccomp,
        seccomp_profile=profile,
        has_writable_cgroups=has_writable_cgroups,
        apparmor=apparmor,
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
    if value not in _TRUE | _FALSE:
        raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return value in _TRUE
