# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 device rules: a BPF program that answers as the v1 controller would.

`assemble` is pure (folded rules in, instructions out); `install` loads and attaches. The kernel hands the program
{access_type, major, minor}: type in the low 16 bits, wanted access above (include/uapi/linux/bpf.h, bpf_cgroup_dev_ctx).
"""

from __future__ import annotations

import os

from holdfast.errors import Forbidden
from holdfast.kernel import bpf
from holdfast.runtime.cgroups import device_rules, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources

_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7
# registers: the wanted access, type, major, minor; R1 is scratch once the context is read
_WANTED, _TYPE, _MAJOR, _MINOR, _SCRATCH = bpf.R2, bpf.R3, bpf.R4, bpf.R5, bpf.R1


def plan(resources: Resources) -> bytes | None:
    """The program for `devices`; None when there are no rules, or rules that allow everything."""
    rules = values.entries(resources, "devices")
    if not rules:
        return None
    decision = device_rules.fold(rules)
    return None if decision.default_allow and not decision.exceptions else assemble(decision)


def assemble(decision: device_rules.Decision) -> bytes:
    """Instructions that return 1 (allowed) or 0: one block per exception, then the default.

    Default deny: an exception allows when it holds all of the wanted access. Default allow: one denies when it holds any.
    """
    program = [
        bpf.instruction(bpf.LOAD_WORD, target=_TYPE, source=bpf.R1, offset=0),
        bpf.instruction(bpf.LOAD_WORD, target=_MAJOR, source=bpf.R1, offset=4),
        bpf.instruction(bpf.LOAD_WORD, target=_MINOR, source=bpf.R1, offset=8),
        bpf.instruction(bpf.MOVE_32_REGISTER, target=_WANTED, source=_TYPE),
        bpf.instruction(bpf.AND_32_IMMEDIATE, target=_TYPE, immediate=0xFFFF),
        bpf.instruction(bpf.SHIFT_RIGHT_32_IMMEDIATE, target=_WANTED, immediate=16),
    ]
    for (kind, major, minor), access in decision.exceptions.items():
        program += _block(kind, major, minor, access, decision.default_allow)
    program += _answer(decision.default_allow)
    return b"".join(program)


def install(directory: str, program: bytes) -> None:
    """Makes `program` the cgroup's only device program."""
    try:
        program_fd = bpf.load_device_program(program)
    except PermissionError as problem:
        raise Forbidden(f"cannot load the device rules of cgroup {directory}: CAP_BPF is needed") from problem
    try:
        cgroup_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            bpf.attach_device_program(cgroup_fd, program_fd)
        finally:
            os.close(cgroup_fd)
    finally:
        os.close(program_fd)


def _block(kind: str, major: int, minor: int, access: str, default_allow: bool) -> list[bytes]:
    conditions = [(_TYPE, _TYPES[kind])]
    if major != device_rules.WILDCARD:
        conditions.append((_MAJOR, major))
    if minor != device_rules.WILDCARD:
        conditions.append((_MINOR, minor))
    mask = sum(_ACCESS[letter] for letter in access)
    tail: list[bytes] = []
    if mask != _ALL:
        # deny: anything wanted outside the mask is no match; allow: nothing wanted inside it is no match
        tested = mask if default_allow else _ALL & ~mask
        jump = bpf.JUMP_EQUAL_32_IMMEDIATE if default_allow else bpf.JUMP_NOT_EQUAL_32_IMMEDIATE
        tail += [
            bpf.instruction(bpf.MOVE_32_REGISTER, target=_SCRATCH, source=_WANTED),
            bpf.instruction(bpf.AND_32_IMMEDIATE, target=_SCRATCH, immediate=tested),
            bpf.instruction(jump, target=_SCRATCH, offset=2, immediate=0),
        ]
    tail += _answer(not default_allow)
    block: list[bytes] = []
    for place, (register, number) in enumerate(conditions):
        beyond = len(conditions) - place - 1 + len(tail)
        block.append(bpf.instruction(bpf.JUMP_NOT_EQUAL_32_IMMEDIATE, target=register, offset=beyond, immediate=number))
    return block + tail


def _answer(allow: bool) -> list[bytes]:
    return [bpf.instruction(bpf.MOVE_64_IMMEDIATE, target=bpf.R0, immediate=int(allow)), bpf.instruction(bpf.EXIT)]
