# SPDX-License-Identifier: Apache-2.0
"""A dozen operations as machine code of x86_64 and aarch64: enough to write a small program once for both.

Pure. A `Code` collects operations; labels may be used before they are set; `bytes()` resolves them. Values live in
`RESULT` (what a system call returns) and in the registers A-G, which system calls leave alone. `tiny_init` is the user.
Sources: Intel SDM vol. 2, Arm ARM C6, syscall(2) §Architecture calling conventions.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

RESULT, A, B, C, D, E, F, G = range(8)
"""Registers of a program; on both machines none but RESULT changes by a system call."""

EQUAL, DIFFERENT, LESS = "equal", "different", "less"


class Code:
    """What both machines have in common: labels and their places."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._places: dict[str, int] = {}
        self._uses: list[tuple[int, str, int]] = []

    def label(self, name: str) -> None:
        """The place that jumps and `address` name."""
        self._places[name] = len(self._code)

    def data(self, name: str, content: bytes) -> None:
        """Constants, aligned for any load; after the last operation."""
        self._code.extend(bytes(-len(self._code) % 8))
        self.label(name)
        self._code.extend(content)

    def finish(self) -> bytes:
        """The program; KeyError for a label that was never set."""
        for place, name, kind in self._uses:
            self._resolve(place, self._places[name] - place, kind)
        return bytes(self._code)

    def _resolve(self, place: int, distance: int, kind: int) -> None:
        raise NotImplementedError

    def _use(self, name: str, kind: int) -> None:
        self._uses.append((len(self._code), name, kind))


class Amd64(Code):
    """Every operation in its longest form: 64-bit operands, 32-bit immediates and distances."""

    _REGISTERS = (0, 3, 5, 12, 13, 14, 15, 9)  # rax rbx rbp r12 r13 r14 r15 r9
    _ARGUMENTS = (7, 6, 2, 10, 8)  # rdi rsi rdx r10 r8
    _CONDITIONS = {EQUAL: 0x84, DIFFERENT: 0x85, LESS: 0x8C}  # noqa: RUF012 (a table, never changed)
    _STACK = 4

    def begin(self, arguments: int, frame: int, size: int) -> None:
        """`arguments` becomes the address of argc, `frame` that of `size` fresh bytes below."""
        self._move(self._REGISTERS[arguments], self._STACK)
        self._immediate(0, self._STACK, -size)
        self._move(self._REGISTERS[frame], self._STACK)

    def set(self, target: int, value: int) -> None:
        self._set(self._REGISTERS[target], value)

    def address(self, target: int, name: str) -> None:
        register = self._REGISTERS[target]
        self._code.extend((0x48 | (register >> 3) << 2, 0x8D, (register & 7) << 3 | 5))
        self._distance(name)

    def copy(self, target: int, source: int) -> None:
        self._move(self._REGISTERS[target], self._REGISTERS[source])

    def add(self, target: int, value: int) -> None:
        self._immediate(0, self._REGISTERS[target], value)

    def subtract(self, target: int, source: int) -> None:
        self._pair(0x29, self._REGISTERS[target], self._REGISTERS[source])

    def mask(self, target: int, value: int) -> None:
        self._immediate(4, self._REGISTERS[target], value)

    def shift_right(self, target: int, count: int) -> None:
        register = self._REGISTERS[target]
        self._code.extend((0x48 | register >> 3, 0xC1, 0xE8 | register & 7, count))

    def load(self, target: int, base: int, offset: int) -> None:
        self._memory((0x8B,), self._REGISTERS[target], self._REGISTERS[base], offset)

    def store(self, base: int, offset: int, source: int) -> None:
        self._memory((0x89,), self._REGISTERS[source], self._REGISTERS[base], offset)

    def load_byte(self, target: int, base: int, offset: int = 0) -> None:
        self._memory((0x0F, 0xB6), self._REGISTERS[target], self._REGISTERS[base], offset)

    def store_byte(self, base: int, source: int) -> None:
        self._memory((0x88,), self._REGISTERS[source], self._REGISTERS[base], 0)

    def jump(self, name: str) -> None:
        self._code.append(0xE9)
        self._distance(name)

    def jump_if(self, condition: str, value: int, limit: int, name: str) -> None:
        self._immediate(7, self._REGISTERS[value], limit)
        self._branch(condition, name)

    def jump_compared(self, condition: str, one: int, other: int, name: str) -> None:
        self._pair(0x39, self._REGISTERS[one], self._REGISTERS[other])
        self._branch(condition, name)

    def call(self, numbers: tuple[int, int], arguments: Sequence[tuple[str, int]]) -> None:
        """A system call, (x86_64, aarch64) number; each argument is ("value", n) or ("in", register)."""
        for place, (kind, argument) in zip(self._ARGUMENTS, arguments, strict=False):
            if kind == "in":
                self._move(place, self._REGISTERS[argument])
            else:
                self._set(place, argument)
        self._set(0, numbers[0])
        self._code.extend((0x0F, 0x05))

    def _set(self, register: int, value: int) -> None:
        self._code.extend((0x48 | register >> 3, 0xC7, 0xC0 | register & 7, *struct.pack("<i", value)))

    def _move(self, target: int, source: int) -> None:
        self._pair(0x89, target, source)

    def _pair(self, operation: int, target: int, source: int) -> None:
        prefix = 0x48 | (source >> 3) << 2 | target >> 3
        self._code.extend((prefix, operation, 0xC0 | (source & 7) << 3 | target & 7))

    def _immediate(self, operation: int, register: int, value: int) -> None:
        self._code.extend((0x48 | register >> 3, 0x81, 0xC0 | operation << 3 | register & 7, *struct.pack("<i", value)))

    def _memory(self, operation: tuple[int, ...], register: int, base: int, offset: int) -> None:
        prefix = 0x48 | (register >> 3) << 2 | base >> 3
        self._code.extend((prefix, *operation, 0x80 | (register & 7) << 3 | base & 7))
        if base & 7 == self._STACK:
            self._code.append(0x24)  # the code for rsp and r12 announces a further byte
        self._code.extend(struct.pack("<i", offset))

    def _branch(self, condition: str, name: str) -> None:
        self._code.extend((0x0F, self._CONDITIONS[condition]))
        self._distance(name)

    def _distance(self, name: str) -> None:
        self._use(name, 0)
        self._code.extend(bytes(4))

    def _resolve(self, place: int, distance: int, kind: int) -> None:
        self._code[place : place + 4] = struct.pack("<i", distance - 4)


class Arm64(Code):
    """Constants are always four instructions; the scratch register takes the second operand."""

    _REGISTERS = (0, 19, 20, 21, 22, 23, 24, 25)
    _SCRATCH = 9
    _NUMBER = 8
    _STACK = 31
    _CONDITIONS = {EQUAL: 0, DIFFERENT: 1, LESS: 11}  # noqa: RUF012 (a table, never changed)
    _JUMP, _BRANCH, _ADDRESS = 0, 1, 2

    def begin(self, arguments: int, frame: int, size: int) -> None:
        """As on x86_64."""
        self._word(0x91000000 | self._STACK << 5 | self._REGISTERS[arguments])
        self._set(self._SCRATCH, size)
        self._word(0xCB206000 | self._SCRATCH << 16 | self._STACK << 5 | self._STACK)
        self._word(0x91000000 | self._STACK << 5 | self._REGISTERS[frame])

    def set(self, target: int, value: int) -> None:
        self._set(self._REGISTERS[target], value)

    def address(self, target: int, name: str) -> None:
        self._use(name, self._ADDRESS)
        self._word(0x10000000 | self._REGISTERS[target])

    def copy(self, target: int, source: int) -> None:
        self._move(self._REGISTERS[target], self._REGISTERS[source])

    def add(self, target: int, value: int) -> None:
        self._with_scratch(0x8B000000, target, value)

    def subtract(self, target: int, source: int) -> None:
        register = self._REGISTERS[target]
        self._word(0xCB000000 | self._REGISTERS[source] << 16 | register << 5 | register)

    def mask(self, target: int, value: int) -> None:
        self._with_scratch(0x8A000000, target, value)

    def shift_right(self, target: int, count: int) -> None:
        register = self._REGISTERS[target]
        self._word(0xD340FC00 | count << 16 | register << 5 | register)

    def load(self, target: int, base: int, offset: int) -> None:
        self._word(0xF9400000 | (offset // 8) << 10 | self._REGISTERS[base] << 5 | self._REGISTERS[target])

    def store(self, base: int, offset: int, source: int) -> None:
        self._word(0xF9000000 | (offset // 8) << 10 | self._REGISTERS[base] << 5 | self._REGISTERS[source])

    def load_byte(self, target: int, base: int, offset: int = 0) -> None:
        self._word(0x39400000 | offset << 10 | self._REGISTERS[base] << 5 | self._REGISTERS[target])

    def store_byte(self, base: int, source: int) -> None:
        self._word(0x39000000 | self._REGISTERS[base] << 5 | self._REGISTERS[source])

    def jump(self, name: str) -> None:
        self._use(name, self._JUMP)
        self._word(0x14000000)

    def jump_if(self, condition: str, value: int, limit: int, name: str) -> None:
        self._set(self._SCRATCH, limit)
        self._compare(self._REGISTERS[value], self._SCRATCH, condition, name)

    def jump_compared(self, condition: str, one: int, other: int, name: str) -> None:
        self._compare(self._REGISTERS[one], self._REGISTERS[other], condition, name)

    def call(self, numbers: tuple[int, int], arguments: Sequence[tuple[str, int]]) -> None:
        """As on x86_64."""
        for place, (kind, argument) in enumerate(arguments):
            if kind == "in":
                self._move(place, self._REGISTERS[argument])
            else:
                self._set(place, argument)
        self._set(self._NUMBER, numbers[1])
        self._word(0xD4000001)

    def _word(self, word: int) -> None:
        self._code.extend(struct.pack("<I", word))

    def _set(self, register: int, value: int) -> None:
        pieces = struct.unpack("<4H", struct.pack("<q", value))
        self._word(0xD2800000 | pieces[0] << 5 | register)
        for place, piece in enumerate(pieces[1:], 1):
            self._word(0xF2800000 | place << 21 | piece << 5 | register)

    def _move(self, target: int, source: int) -> None:
        self._word(0xAA0003E0 | source << 16 | target)

    def _with_scratch(self, operation: int, target: int, value: int) -> None:
        register = self._REGISTERS[target]
        self._set(self._SCRATCH, value)
        self._word(operation | self._SCRATCH << 16 | register << 5 | register)

    def _compare(self, one: int, other: int, condition: str, name: str) -> None:
        self._word(0xEB00001F | other << 16 | one << 5)
        self._use(name, self._BRANCH)
        self._word(0x54000000 | self._CONDITIONS[condition])

    def _resolve(self, place: int, distance: int, kind: int) -> None:
        word = struct.unpack_from("<I", self._code, place)[0]
        if kind == self._JUMP:
            word |= distance // 4 & 0x3FFFFFF
        elif kind == self._BRANCH:
            word |= (distance // 4 & 0x7FFFF) << 5
        else:
            word |= (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5
        struct.pack_into("<I", self._code, place, word)
