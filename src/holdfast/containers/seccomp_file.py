# SPDX-License-Identifier: Apache-2.0
"""A seccomp profile as users write it, reduced to the OCI object for one container.

Docker's form adds conditions to a rule (`includes`, `excludes`: capabilities, architectures, a kernel) and a map of
architectures; a rule whose condition does not hold is left out, which is what keeps `mount` from a container without
CAP_SYS_ADMIN. Pure. Called by `spec` for `--security-opt seccomp=FILE` and by the daemon for its own default.
Source: moby 28 profiles/seccomp, docs.docker.com seccomp; OCI runtime-spec v1.2 §config-linux.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.oci import platform

_FAILED = "Decoding seccomp profile failed: "
_SECCOMP_NAMES = {
    "386": "SCMP_ARCH_X86",
    "amd64": "SCMP_ARCH_X86_64",
    "arm": "SCMP_ARCH_ARM",
    "arm64": "SCMP_ARCH_AARCH64",
    "loong64": "SCMP_ARCH_LOONGARCH64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
}
_CONDITIONS = ("includes", "excludes")
_RULE_MEMBERS = ("names", "action", "errnoRet", "args")
_PROFILE_MEMBERS = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")


def decode(text: str | bytes) -> dict[str, Any]:
    """The profile in a file's content; InvalidArgument in Docker's words."""
    try:
        decoded: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"{_FAILED}{error}") from None
    return _object(decoded, "it")


def reduce(
    profile: Mapping[str, Any], capabilities: Collection[str], machine: str, release: str
) -> dict[str, Any] | None:
    """What of the profile holds with these capabilities (bounding), on this machine and kernel (as uname(2) has them).

    None for a profile without a default action and rules, which is no filter at all, as in Docker.
    """
    rules = _list(profile.get("syscalls"), "syscalls")
    if not profile.get("defaultAction") and not rules:
        return None
    architecture = platform.of_machine(machine).architecture
    reduced: dict[str, Any] = {name: profile[name] for name in _PROFILE_MEMBERS if profile.get(name) is not None}
    reduced["architectures"] = _architectures(profile, architecture)
    reduced["syscalls"] = [
        _rule(rule)
        for rule in (_object(each, "a rule") for each in rules)
        if _holds(rule, capabilities, architecture, release)
    ]
    return reduced


def _architectures(profile: Mapping[str, Any], architecture: str) -> list[Any]:
    plain, mapped = _list(profile.get("architectures"), "architectures"), _list(profile.get("archMap"), "archMap")
    if plain and mapped:
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or "
            "'archMap'"
        )
    wanted = _SECCOMP_NAMES.get(architecture)
    for entry in (_object(each, "archMap") for each in mapped):
        if entry.get("architecture") == wanted:
            return [wanted, *_list(entry.get("subArchitectures"), "subArchitectures")]
    return plain


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    reduced = {name: rule[name] for name in _RULE_MEMBERS if rule.get(name) is not None}
    if rule.get("name"):
        if reduced.get("names"):
            raise InvalidArgument(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            )
        reduced["names"] = [rule["name"]]
    return reduced


def _holds(rule: Mapping[str, Any], capabilities: Collection[str], architecture: str, release: str) -> bool:
    included, excluded = (_object(rule.get(name) or {}, name) for name in _CONDITIONS)
    if architecture in _list(excluded.get("arches"), "arches") or any(
        name in capabilities for name in _list(excluded.get("caps"), "caps")
    ):
        return False
    if excluded.get("minKernel") and _is_at_least(release, excluded["minKernel"]):
        return False
    arches = _list(included.get("arches"), "arches")
    return (
        (not arches or architecture in arches)
        and all(name in capabilities for name in _list(included.get("caps"), "caps"))
        and (not included.get("minKernel") or _is_at_least(release, included["minKernel"]))
    )


def _is_at_least(release: str, wanted: object) -> bool:
    if not isinstance(wanted, str) or not re.fullmatch(r"[0-9]+\.[0-9]+", wanted, re.ASCII):
        raise InvalidArgument(f'{_FAILED}invalid kernel version: "{wanted}": expected <kernel>.<major>')
    found = re.match(r"(\d+)\.(\d+)", release, re.ASCII)
    if found is None:
        return False
    kernel, _, major = wanted.partition(".")
    return (int(found[1]), int(found[2])) >= (int(kernel), int(major))


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgument(f"{_FAILED}{what} is not an object")
    return cast("dict[str, Any]", value)


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArgument(f"{_FAILED}{what} is not a list")
    return cast("list[Any]", value)
