# SPDX-License-Identifier: Apache-2.0
"""OCI `linux.seccomp` to filter bytes, and Docker's default profile as such an object.

Compiling takes milliseconds and is remembered by content; `kernel.seccomp.install` puts the bytes to work. Called by
the spawner (which warms the default before it forks), the shim and `hold-runc`. Does not install anything.
Source: OCI runtime-spec v1.2 §config-linux seccomp; what runc does where the spec is silent.
"""

from __future__ import annotations

import json

from holdfast.errors import InvalidArgument, Unsupported
from holdfast.kernel import seccomp, syscall_names, syscalls
from holdfast.runtime import seccomp_profile, seccomp_stub

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_EPERM = 1
_RETURN_DATA = 0xFFFF
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
# with these a new system call works as if there were no filter: no ENOSYS prologue
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
_OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
# libseccomp's tokens; the AUDIT_ARCH words but for x32, which shares x86_64's in the kernel
_ARCHITECTURES = {
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
    "SCMP_ARCH_S390X": 0x80000016,
    "SCMP_ARCH_S390": 0x00000016,
    "SCMP_ARCH_LOONGARCH64": 0xC0000102,
    "SCMP_ARCH_PPC64LE": 0xC0000015,
    "SCMP_ARCH_MIPS": 0x00000008,
    "SCMP_ARCH_MIPS64": 0x80000008,
    "SCMP_ARCH_MIPS64N32": 0xA0000008,
    "SCMP_ARCH_MIPSEL": 0x40000008,
    "SCMP_ARCH_MIPSEL64": 0xC0000008,
    "SCMP_ARCH_MIPSEL64N32": 0xE0000008,
}
_X32 = _ARCHITECTURES["SCMP_ARCH_X32"]
_X86_64 = _ARCHITECTURES["SCMP_ARCH_X86_64"]
_NATIVE = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
    "loongarch64": "SCMP_ARCH_LOONGARCH64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
}
_MOST_REMEMBERED = 64

_compiled: dict[str, bytes] = {}


class _Rule:
    """One OCI `syscalls` entry, checked."""

    __slots__ = ("action", "comparisons", "names")

    def __init__(self, names: list[str], action: int, comparisons: list[tuple[int, int, int, int]]) -> None:
        self.names = names
        self.action = action
        self.comparisons = comparisons


def default_profile(capabilities: frozenset[str], arch: str = syscalls.MACHINE) -> dict[str, Any]:
    """Docker's default profile for a container with these bounding capabilities on machine `arch` (`x86_64`)."""
    word, judged = seccomp_profile.ARCHITECTURES.get(arch, (arch, ()))
    rules = [_allow(seccomp_profile.ALWAYS), _allow(seccomp_profile.TRACING)]
    rules += [_allow("socket", (0, family, 0, operator)) for family, operator in seccomp_profile.SOCKET_FAMILIES]
    rules += [_allow("personality", (0, each, 0, "SCMP_CMP_EQ")) for each in seccomp_profile.PERSONALITIES]
    rules += [_allow(names) for words, names in seccomp_profile.BY_ARCHITECTURE if word in words]
    rules += [_allow(names) for capability, names in seccomp_profile.BY_CAPABILITY if capability in capabilities]
    if "CAP_SYS_ADMIN" not in capabilities:
        # s390 takes clone(2)'s flags as the second argument
        place = 1 if word in ("s390", "s390x") else 0
        rules.append(_allow("clone", (place, seccomp_profile.CLONE_NAMESPACES, 0, "SCMP_CMP_MASKED_EQ")))
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": list(judged),
        "syscalls": rules,
    }


def compile_default(capabilities: frozenset[str]) -> bytes:
    """The default profile's filter on this machine."""
    return compile(default_profile(capabilities))


def compile(linux_seccomp: Mapping[str, Any]) -> bytes:  # noqa: A001  (the verb of the contract: `seccomp.compile`)
    """The filter for an OCI seccomp object; equal objects are compiled once.

    InvalidArgument for an unknown action, operator or architecture; names that no known kernel has are passed over, as
    in runc. Unsupported without libseccomp, and for user notification (listenerPath).
    """
    key = json.dumps(linux_seccomp, sort_keys=True)
    program = _compiled.get(key)
    if program is None:
        if len(_compiled) >= _MOST_REMEMBERED:
            _compiled.clear()
        program = _compiled[key] = _compile(linux_seccomp)
    return program


def _compile(profile: Mapping[str, Any]) -> bytes:
    if profile.get("listenerPath"):
        raise Unsupported("seccomp user notification (listenerPath) is not supported")
    default = str(profile.get("defaultAction", ""))
    default_action = _action(default, profile.get("defaultErrnoRet"))
    rules = [_parse(entry) for entry in profile.get("syscalls") or ()]
    tokens = [_architecture(str(name)) for name in profile.get("architectures") or ()]
    native = _ARCHITECTURES[_NATIVE[syscalls.MACHINE]]
    with seccomp.Compiler(default_action) as compiler:
        for token in tokens:
            compiler.add_architecture(token)
        for rule in rules:
            _add(compiler, rule)
        program = compiler.export()
        if default not in _PERMISSIVE:
            calls = _plan_prologue(compiler, rules, list(dict.fromkeys([native, *tokens])), default_action)
            program = seccomp_stub.assemble(calls) + program
    if len(program) > seccomp.MOST_INSTRUCTIONS * seccomp.INSTRUCTION_BYTES:
        raise InvalidArgument("the seccomp profile is too large: the kernel takes 4096 instructions")
    return program


def _add(compiler: seccomp.Compiler, rule: _Rule) -> None:
    for name in rule.names:
        number = compiler.number(name)
        if number == seccomp.UNKNOWN:
            continue
        indexes = [each[0] for each in rule.comparisons]
        if len(set(indexes)) == len(indexes):
            compiler.add_rule(rule.action, number, rule.comparisons)
            continue
        for each in rule.comparisons:  # libseccomp takes one test per argument; runc makes alternatives of them
            compiler.add_rule(rule.action, number, [each])


def _plan_prologue(
    compiler: seccomp.Compiler, rules: Iterable[_Rule], tokens: list[int], default_action: int
) -> list[seccomp_stub.Calls]:
    by_token: dict[int, seccomp_stub.Calls] = {}
    for token in tokens:
        newest, actions = 0, dict[int, int]()
        for rule in rules:
            for name in rule.names:
                number = compiler.number_on(token, name)
                if number == seccomp.UNKNOWN:
                    number = _newer_number(name, token)
                    if number >= 0 and not rule.comparisons and rule.action != default_action:
                        actions[number] = rule.action
                newest = max(newest, number & ~seccomp_stub.X32_BIT if number >= 0 else number)
        if newest:
            by_token[token] = seccomp_stub.Calls(token, newest, actions)
    x32 = by_token.pop(_X32, None)
    if x32 is not None and _X86_64 in by_token:
        by_token[_X86_64].x32 = x32
    return list(by_token.values())


def _newer_number(name: str, token: int) -> int:
    number = syscall_names.EVERYWHERE.get(name, seccomp.UNKNOWN)
    if number == seccomp.UNKNOWN and token == _X86_64:
        number = syscall_names.X86_64_ONLY.get(name, seccomp.UNKNOWN)
    return number


def _parse(entry: Mapping[str, Any]) -> _Rule:
    names = [str(name) for name in entry.get("names") or ()]
    if not names:
        raise InvalidArgument("invalid seccomp rule: it names no system call")
    comparisons = [_comparison(each) for each in entry.get("args") or ()]
    return _Rule(names, _action(str(entry.get("action", "")), entry.get("errnoRet")), comparisons)


def _comparison(argument: Mapping[str, Any]) -> tuple[int, int, int, int]:
    index, operator = argument.get("index", 0), str(argument.get("op", ""))
    value, value_two = argument.get("value", 0), argument.get("valueTwo", 0)
    if operator not in _OPERATORS:
        raise InvalidArgument(f"invalid seccomp operator {operator!r}")
    if index not in range(6) or any(not isinstance(each, int) or not 0 <= each < 2**64 for each in (value, value_two)):
        raise InvalidArgument(f"invalid seccomp argument {dict(argument)!r}")
    return index, _OPERATORS[operator], value, value_two


def _action(name: str, errno: int | None) -> int:
    if name == "SCMP_ACT_NOTIFY":
        raise Unsupported("seccomp action SCMP_ACT_NOTIFY is not supported")
    if name not in _ACTIONS:
        raise InvalidArgument(f"invalid seccomp action {name!r}")
    if name not in _WITH_ERRNO:
        return _ACTIONS[name]
    return _ACTIONS[name] | ((_EPERM if errno is None else errno) & _RETURN_DATA)


def _architecture(name: str) -> int:
    if name not in _ARCHITECTURES:
        raise InvalidArgument(f"invalid seccomp architecture {name!r}")
    return _ARCHITECTURES[name]


def _allow(names: str, *arguments: tuple[int, int, int, str]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names.split(), "action": "SCMP_ACT_ALLOW"}
    if arguments:
        rule["args"] = [
            {"index": index, "value": value, "valueTwo": two, "op": operator}
            for index, value, two, operator in arguments
        ]
    return rule
