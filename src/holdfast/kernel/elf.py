# SPDX-License-Identifier: Apache-2.0
"""The smallest static executable file: one segment that is read and executed, nothing writable.

Pure. Used for the programs that we write ourselves: `hello-world` (`images.elf`) and a container's init
(`runtime.tiny_init`). Source: System V ABI, ELF-64 object file format.
"""

from __future__ import annotations

import struct

from holdfast.errors import Unsupported

MACHINES = {"amd64": 62, "arm64": 183}
"""Architecture, as images call it, to e_machine."""

_BASE = 0x400000
_HEADER_BYTES = 64
_PROGRAM_HEADER_BYTES = 56
_CODE_OFFSET = _HEADER_BYTES + _PROGRAM_HEADER_BYTES
_PAGE = 0x10000
_EXECUTABLE = 2
_LOAD = 1
_READ_EXECUTE = 5


def executable(content: bytes, architecture: str) -> bytes:
    """A file that starts with the first byte of `content` (position-independent code and its constants)."""
    machine = MACHINES.get(architecture)
    if machine is None:
        raise Unsupported(f"there are no built-in programs for {architecture}")
    size = _CODE_OFFSET + len(content)
    identity = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)  # 64 bit, little-endian, version 1, System V
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity,
        _EXECUTABLE,
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
    segment = struct.pack("<IIQQQQQQ", _LOAD, _READ_EXECUTE, 0, _BASE, _BASE, size, size, _PAGE)
    return header + segment + content
