# SPDX-License-Identifier: Apache-2.0
"""The prologue of a filter: answers for system calls that libseccomp does not know.

A call newer than anything the profile names must fail with ENOSYS, or C libraries that try new calls first (clone3,
faccessat2, ...) take EPERM for the real answer; runc patches its filters the same way. Calls that the profile names and
that only libseccomp is too old for are decided here as well. Pure: it returns instructions to put before the filter.
Source: Documentation/userspace-api/seccomp_filter.rst; struct seccomp_data {int nr; u32 arch; ...}.
"""

from __future__ import annotations

from holdfast.kernel import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOAD_ABSOLUTE = 0x20
_AND = 0x54
_JUMP_ALWAYS = 0x05
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_GREATER_OR_EQUAL = 0x35
_JUMP_BITS = 0x45
_RETURN = 0x06

_NUMBER_OFFSET = 0
_ARCH_OFFSET = 4
X32_BIT = 0x40000000
_ENOSYS = 0x00050000 | 38


class Calls:
    """What the prologue knows of one architecture: its AUDIT_ARCH word, the newest number that the profile names, and
    {number: action} of calls that libseccomp does not know. `x32` is the same for numbers with the x32 bit, or None."""

    __slots__ = ("actions", "audit", "newest", "x32")

    def __init__(self, audit: int, newest: int, actions: Mapping[int, int], x32: Calls | None = None) -> None:
        self.audit = audit
        self.newest = newest
        self.actions = actions
        self.x32 = x32


def assemble(architectures: Sequence[Calls]) -> bytes:
    """The prologue; what it does not answer falls through to the instructions that follow it."""
    blocks = [_architecture(each) for each in architectures]
    program = [seccomp.instruction(_LOAD_ABSOLUTE, _ARCH_OFFSET)]
    beyond = sum(len(block) + 1 for block in blocks)
    for each, block in zip(architectures, blocks, strict=True):
        program.append(seccomp.instruction(_JUMP_EQUAL, each.audit, 0, len(block)))
        beyond -= len(block) + 1
        program += block[:-1]
        program.append(seccomp.instruction(_JUMP_ALWAYS, beyond))
    return b"".join(program)


def _architecture(calls: Calls) -> list[bytes]:
    """One block; its last instruction is a place holder for the jump to the filter."""
    native = _numbers(calls)
    load = seccomp.instruction(_LOAD_ABSOLUTE, _NUMBER_OFFSET)
    leave = seccomp.instruction(_JUMP_ALWAYS, 0)
    if calls.x32 is None:
        # numbers with the x32 bit are not ours to judge: the filter has its own answer for a foreign architecture
        guard = seccomp.instruction(_JUMP_BITS, X32_BIT, len(native), 0) if calls.audit == X86_64 else b""
        return [load, *([guard] if guard else []), *native, leave]
    x32 = _numbers(calls.x32)
    strip = seccomp.instruction(_AND, X32_BIT ^ 0xFFFFFFFF)
    skip = seccomp.instruction(_JUMP_ALWAYS, len(x32) + 1)
    return [load, seccomp.instruction(_JUMP_BITS, X32_BIT, len(native) + 1, 0), *native, skip, strip, *x32, leave]


def _numbers(calls: Calls) -> list[bytes]:
    """Answers for newer numbers and for the ranges of `actions`; everything else runs off the end."""
    code: list[bytes] = [
        seccomp.instruction(_JUMP_GREATER, calls.newest, 0, 1),
        seccomp.instruction(_RETURN, _ENOSYS),
    ]
    ranges = plan_ranges(calls.actions)
    body: list[bytes] = []
    for first, last, action in ranges:
        body.append(seccomp.instruction(_JUMP_GREATER_OR_EQUAL, first, 0, 2))
        body.append(seccomp.instruction(_JUMP_GREATER, last, 1, 0))
        body.append(seccomp.instruction(_RETURN, action))
    if ranges:
        code.append(seccomp.instruction(_JUMP_GREATER_OR_EQUAL, ranges[0][0], 0, len(body)))
    return code + body


def plan_ranges(actions: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """{number: action} as (first, last, action), neighbours with one action merged, in rising order."""
    ranges: list[tuple[int, int, int]] = []
    for number in sorted(actions):
        action = actions[number]
        if ranges and ranges[-1][1] == number - 1 and ranges[-1][2] == action:
            ranges[-1] = (ranges[-1][0], number, action)
        else:
            ranges.append((number, number, action))
    return ranges


X86_64 = 0xC000003E
