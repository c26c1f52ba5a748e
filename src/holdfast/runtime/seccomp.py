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
from holdfast.runtime import seccomp_profile, seccomp_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_EPERM = 1
_RETURN_DATA = 0xFFFF
ACTIONS = {
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
# with these a new system call works as if there were no filter: no ENOSYS for what is newer than the profile
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
_KILL_THREAD = ACTIONS["SCMP_ACT_KILL_THREAD"]
_ENOSYS = ACTIONS["SCMP_ACT_ERRNO"] | 38
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
# arguments that the kernel takes as a 32-bit number: it never sees the upper half, so neither may a comparison. With all
# 64 bits compared, socket(0x1_0000_0026) is above 40 for the filter and AF_ALG for the kernel.
_LOW_ONLY = {"socket": (0, 1, 2), "socketpair": (0, 1, 2), "personality": (0,)}
# libseccomp's tokens; the AUDIT_ARCH words but for x32, which shares x86_64's in the kernel
ARCHITECTURES = {
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
_X86 = ARCHITECTURES["SCMP_ARCH_X86"]
_X32 = ARCHITECTURES["SCMP_ARCH_X32"]
_X86_64 = ARCHITECTURES["SCMP_ARCH_X86_64"]
_X32_BIT = seccomp_tree.X32_BIT
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
_compiled_defaults: dict[frozenset[str], bytes] = {}


class _Rule:
    """One OCI `syscalls` entry, checked."""

    __slots__ = ("action", "comparisons", "names")

    def __init__(self, names: list[str], action: int, comparisons: list[tuple[int, str, int, int]]) -> None:
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
    """The default profile's filter on this machine; remembered by the capabilities: making the key takes 0.2 ms."""
    program = _compiled_defaults.get(capabilities)
    if program is None:
        if len(_compiled_defaults) >= _MOST_REMEMBERED:
            _compiled_defaults.clear()
        program = _compiled_defaults[capabilities] = compile(default_profile(capabilities))
    return program


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
    newer_action = default_action if default in _PERMISSIVE else _ENOSYS
    rules = [_parse(entry) for entry in profile.get("syscalls") or ()]
    tokens = [_architecture(str(name)) for name in profile.get("architectures") or ()]
    tokens = list(dict.fromkeys([ARCHITECTURES[_NATIVE[syscalls.MACHINE]], *tokens]))
    names = seccomp.SyscallNames()
    judged: dict[int, seccomp_tree.Architecture] = {}
    for token in tokens:
        found = _judge(names, rules, token, default_action, newer_action)
        if token == _X32 and _X86_64 in judged:
            judged[_X86_64] = _with_x32(judged[_X86_64], found)
        else:
            judged[token] = found
    program = seccomp_tree.assemble(list(judged.values()), _KILL_THREAD)
    if len(program) > seccomp.MOST_INSTRUCTIONS * seccomp.INSTRUCTION_BYTES:
        raise InvalidArgument("the seccomp profile is too large: the kernel takes 4096 instructions")
    return program


def _judge(
    names: seccomp.SyscallNames, rules: Iterable[_Rule], token: int, default_action: int, newer_action: int
) -> seccomp_tree.Architecture:
    """The rules in the numbers of one architecture; past the newest number that they name, `newer_action` holds."""
    otherwise: tuple[tuple[seccomp_tree.Comparison, ...], int] = ((), default_action)
    alternatives: dict[int, list[tuple[tuple[seccomp_tree.Comparison, ...], int]]] = {}
    for rule in rules:
        for name in rule.names:
            for number, comparisons in _calls(names, token, name, rule.comparisons):
                held = alternatives.setdefault(number, [])
                if not held or held[-1][0]:  # nothing comes after a rule without a condition
                    held.append((comparisons, rule.action))
    answers = {number: (*held, otherwise) if held[-1][0] else tuple(held) for number, held in alternatives.items()}
    answers = {number: held[-1:] if _is_settled(held) else held for number, held in answers.items()}
    newest = max(answers, default=-1)
    ceilings = [(0, default_action), (newest + 1, newer_action)] if answers else [(0, default_action)]
    if token == _X86_64:
        ceilings.append((_X32_BIT, _KILL_THREAD))
    return seccomp_tree.Architecture(token, answers, ceilings)


def _with_x32(native: seccomp_tree.Architecture, x32: seccomp_tree.Architecture) -> seccomp_tree.Architecture:
    """x32 calls come under x86_64's AUDIT_ARCH with bit 30 set in their numbers; nearly all have the same answers.

    A number that x32 does not have gets x86_64's answer, which is as good as any: the kernel has nothing there.
    """
    ceilings = [each for each in native.ceilings if each[0] < _X32_BIT]
    stripped = {number & ~_X32_BIT: answer for number, answer in x32.answers.items()}
    twin = {number: answer for number, answer in stripped.items() if native.answers.get(number) != answer}
    return seccomp_tree.Architecture(native.audit, native.answers, ceilings, twin)


def _calls(
    names: seccomp.SyscallNames, token: int, name: str, comparisons: list[tuple[int, str, int, int]]
) -> list[tuple[int, tuple[seccomp_tree.Comparison, ...]]]:
    """What a rule for `name` means on one architecture: (number, comparisons) of each way to make the call."""
    number = _number(names, token, name)
    if token == _X86 and name in syscall_names.X86_MULTIPLEXED:
        number, door, first = syscall_names.X86_MULTIPLEXED[name]
        if not comparisons:  # the door takes the arguments by address, where no filter sees them
            by_door = (door, ((0, "EQ", first, 0, True),))
            return [by_door, (number, ())] if number >= 0 else [by_door]
    return [(number, each) for each in _alternatives(name, comparisons)] if number >= 0 else []


def _alternatives(name: str, comparisons: list[tuple[int, str, int, int]]) -> list[tuple[seccomp_tree.Comparison, ...]]:
    """All comparisons together; several of one argument are alternatives, as runc makes of them."""
    low = _LOW_ONLY.get(name, ())
    full = [(*each, each[0] in low) for each in comparisons]
    indexes = [each[0] for each in comparisons]
    if len(set(indexes)) == len(indexes):
        return [tuple(full)]
    return [(each,) for each in full]


def _is_settled(held: tuple[tuple[tuple[seccomp_tree.Comparison, ...], int], ...]) -> bool:
    """Whether an unconditional rule says what every conditional one before it says."""
    return all(action == held[-1][1] for _, action in held)


def _number(names: seccomp.SyscallNames, token: int, name: str) -> int:
    number = names.number(token, name)
    if number != seccomp.UNKNOWN:
        return number
    number = syscall_names.EVERYWHERE.get(name, seccomp.UNKNOWN)
    if number == seccomp.UNKNOWN and token in (_X86_64, _X32):
        number = syscall_names.X86_64_ONLY.get(name, seccomp.UNKNOWN)
    return number | _X32_BIT if number >= 0 and token == _X32 else number


def _parse(entry: Mapping[str, Any]) -> _Rule:
    names = [str(name) for name in entry.get("names") or ()]
    if not names:
        raise InvalidArgument("invalid seccomp rule: it names no system call")
    comparisons = [_comparison(each) for each in entry.get("args") or ()]
    return _Rule(names, _action(str(entry.get("action", "")), entry.get("errnoRet")), comparisons)


def _comparison(argument: Mapping[str, Any]) -> tuple[int, str, int, int]:
    index, operator = argument.get("index", 0), str(argument.get("op", "")).removeprefix("SCMP_CMP_")
    value, value_two = argument.get("value", 0), argument.get("valueTwo", 0)
    if operator not in OPERATORS:
        raise InvalidArgument(f"invalid seccomp operator {argument.get('op')!r}")
    if index not in range(6) or any(not isinstance(each, int) or not 0 <= each < 2**64 for each in (value, value_two)):
        raise InvalidArgument(f"invalid seccomp argument {dict(argument)!r}")
    return index, operator, value, value_two


def _action(name: str, errno: int | None) -> int:
    if name == "SCMP_ACT_NOTIFY":
        raise Unsupported("seccomp action SCMP_ACT_NOTIFY is not supported")
    if name not in ACTIONS:
        raise InvalidArgument(f"invalid seccomp action {name!r}")
    if name not in _WITH_ERRNO:
        return ACTIONS[name]
    return ACTIONS[name] | ((_EPERM if errno is None else errno) & _RETURN_DATA)


def _architecture(name: str) -> int:
    if name not in ARCHITECTURES:
        raise InvalidArgument(f"invalid seccomp architecture {name!r}")
    return ARCHITECTURES[name]


def _allow(names: str, *arguments: tuple[int, int, int, str]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names.split(), "action": "SCMP_ACT_ALLOW"}
    if arguments:
        rule["args"] = [
            {"index": index, "value": value, "valueTwo": two, "op": operator}
            for index, value, two, operator in arguments
        ]
    return rule
