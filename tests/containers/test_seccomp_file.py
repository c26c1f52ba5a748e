# SPDX-License-Identifier: Apache-2.0
"""Docker's form of a seccomp profile: conditions and architectures, and what is wrong with one."""

import json
from typing import Any

import pytest

from holdfast.containers import seccomp_file
from holdfast.errors import InvalidArgument

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"


def names(profile: dict[str, Any], *capabilities: str, machine: str = "x86_64", release: str = "6.1.0-13") -> list[str]:
    reduced = seccomp_file.reduce(profile, capabilities, machine, release)
    assert reduced is not None
    return [name for rule in reduced["syscalls"] for name in rule["names"]]


def profile(**condition: Any) -> dict[str, Any]:
    return {"defaultAction": ERRNO, "syscalls": [{"names": ["mount"], "action": ALLOW, **condition}]}


@pytest.mark.parametrize(
    ("condition", "capabilities", "holds"),
    [
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, (), False),
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, ("CAP_SYS_ADMIN",), True),
        ({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}}, ("CAP_SYS_ADMIN",), False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}}, ("CAP_BPF",), False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, (), True),
        ({"includes": {"arches": ["amd64", "x32"]}}, (), True),
        ({"includes": {"arches": ["arm64"]}}, (), False),
        ({"excludes": {"arches": ["amd64"]}}, (), False),
        ({"includes": {"minKernel": "4.8"}}, (), True),
        ({"includes": {"minKernel": "6.10"}}, (), False),
        ({"excludes": {"minKernel": "4.8"}}, (), False),
        ({"includes": {}, "excludes": None}, (), True),
    ],
)
def test_a_rule_counts_where_its_condition_holds(
    condition: dict[str, Any], capabilities: tuple[str, ...], holds: bool
) -> None:
    assert names(profile(**condition), *capabilities) == (["mount"] if holds else [])


def test_conditions_and_comments_do_not_reach_the_runtime() -> None:
    given = profile(comment="why", includes={"minKernel": "4.8"}, errnoRet=38, args=[])

    reduced = seccomp_file.reduce(given, (), "x86_64", "6.1")

    assert reduced is not None
    assert reduced["syscalls"] == [{"names": ["mount"], "action": ALLOW, "errnoRet": 38, "args": []}]


def test_the_old_form_names_one_call() -> None:
    old = {"defaultAction": ERRNO, "syscalls": [{"name": "read", "action": ALLOW}]}

    assert names(old) == ["read"]
    with pytest.raises(InvalidArgument, match="both 'name' and 'names'"):
        names(profile(name="read"))


def test_architectures_come_from_the_map() -> None:
    mapped = {
        **profile(),
        "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        ],
    }

    reduced = seccomp_file.reduce(mapped, (), "x86_64", "6.1")

    assert reduced is not None
    assert reduced["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    with pytest.raises(InvalidArgument, match="use either 'architectures' or 'archMap'"):
        names({**mapped, "architectures": ["SCMP_ARCH_X86_64"]})


def test_an_empty_profile_is_no_filter() -> None:
    assert seccomp_file.reduce({}, (), "x86_64", "6.1") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        json.dumps({"syscalls": 1}),
        json.dumps({"syscalls": [1]}),
        json.dumps({"archMap": [1], "syscalls": [{}]}),
        json.dumps(profile(includes=3)),
        json.dumps(profile(includes={"caps": 3})),
        json.dumps(profile(includes={"minKernel": "x"})),
        "[" * 100000,
    ],
)
def test_nonsense_is_told(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^Decoding seccomp profile failed: "):
        seccomp_file.reduce(seccomp_file.decode(text), (), "x86_64", "6.1")
