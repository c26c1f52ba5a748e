# SPDX-License-Identifier: Apache-2.0
"""Writes the smallest honest program: a static ELF that prints a text and exits with 0, for x86_64 and aarch64.

One loadable segment holds header, code and text; nothing is writable. Pure: the same text gives the same bytes.
Source: System V ABI (ELF-64 object file format), Linux syscall numbers write and exit_group of both machines.
"""

from __future__ import annotations

import struct

from holdfast.errors import Unsupported

_BASE = 0x400000
_HEADER_BYTES = 64
_PROGRAM_HEADER_BYTES = 56
_CODE_OFFSET = _HEADER_BYTES + _PROGRAM_HEADER_BYTES
_MACHINE_X86_64, _MACHINE_AARCH64 = 62, 183
_PAGE = 0x10000


def hello(text: bytes, architecture: str) -> bytes:
    """The program for `amd64` or `arm64`; Unsupported for others."""
    if architecture == "amd64":
        code, machine = _x86_64(text), _MACHINE_X86_64
    elif architecture == "arm64":
        code, machine = _aarch64(text), _MACHINE_AARCH64
    else:
        raise Unsupported(f"there is no built-in image for {architecture}")
    size = _CODE_OFFSET + len(code) + len(text)
    identity = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)  # 64 bit, little-endian, version 1, System V
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity,
        2,  # executable
        machine,
        1,
        _BASE + _CODE_OFFSET,
        _HEADER_BYTES,
        0,
        0,
        _HEADER_BYTES,
        _PROGRAM_HEADER_BYTES,
        1,
        0,
        0,
        0,
    )
    readable_executable = 5
    segment = struct.pack("<IIQQQQQQ", 1, readable_executable, 0, _BASE, _BASE, size, size, _PAGE)
    return header + segment + code + text


def _x86_64(text: bytes) -> bytes:
    """mov edi,1; lea rsi,[rip+text]; mov edx,len; mov eax,1 (write); syscall; xor edi,edi; mov eax,231; syscall."""
    tail = b"\xba" + struct.pack("<I", len(text)) + b"\xb8\x01\x00\x00\x00\x0f\x05\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05"
    return b"\xbf\x01\x00\x00\x00" + b"\x48\x8d\x35" + struct.pack("<i", len(tail)) + tail


def _aarch64(text: bytes) -> bytes:
    """mov x0,1; adr x1,text; mov x2,len; mov x8,64 (write); svc; mov x0,0; mov x8,94 (exit_group); svc."""
    if len(text) > 0xFFFF:
        raise Unsupported("the text is too long for one instruction")
    count = 8
    distance = (count - 1) * 4  # adr is the second instruction
    return struct.pack(
        f"<{count}I",
        _movz(0, 1),
        0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | 1,
        _movz(2, len(text)),
        _movz(8, 64),
        0xD4000001,
        _movz(0, 0),
        _movz(8, 94),
        0xD4000001,
    )


def _movz(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register
