# SPDX-License-Identifier: Apache-2.0
"""Writes the smallest honest program: a static ELF that prints a text and exits with 0, for x86_64 and aarch64.

Pure: the same text gives the same bytes. Source: Linux syscall numbers write and exit_group of both machines.
"""

from __future__ import annotations

import struct

from holdfast.errors import Unsupported
from holdfast.kernel import elf


def hello(text: bytes, architecture: str) -> bytes:
    """The program for `amd64` or `arm64`; Unsupported for others."""
    if architecture == "amd64":
        code = _x86_64(text)
    elif architecture == "arm64":
        code = _aarch64(text)
    else:
        raise Unsupported(f"there is no built-in image for {architecture}")
    return elf.executable(code + text, architecture)


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
