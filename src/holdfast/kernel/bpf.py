# SPDX-License-Identifier: Apache-2.0
"""bpf(2) for cgroup device programs: assemble instructions, load, attach in place of what was there, query.

Knows eBPF's encoding and the bpf() calls, not what devices are allowed (`runtime.cgroups.v2.devices` decides).
Source: bpf(2), include/uapi/linux/bpf.h, Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from holdfast.kernel import syscalls

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_DETACH = 9
_PROG_GET_FD_BY_ID = 13
_PROG_QUERY = 16
_TYPE_CGROUP_DEVICE = 15
_ATTACH_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2
_REPLACE = 4
_MOST_PROGRAMS = 64

# registers
R0, R1, R2, R3, R4, R5 = range(6)
# operation codes: class | source | operation
LOAD_WORD = 0x61
MOVE_32_REGISTER = 0xBC
MOVE_64_IMMEDIATE = 0xB7
AND_32_IMMEDIATE = 0x54
SHIFT_RIGHT_32_IMMEDIATE = 0x74
JUMP_NOT_EQUAL_32_IMMEDIATE = 0x56
JUMP_EQUAL_32_IMMEDIATE = 0x16
EXIT = 0x95


def instruction(code: int, *, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One 8-byte instruction; `immediate` may be given as an unsigned 32-bit number."""
    return struct.pack("<BBhI", code, target | source << 4, offset, immediate & 0xFFFFFFFF)


def load_device_program(instructions: bytes) -> int:
    """Loads a BPF_PROG_TYPE_CGROUP_DEVICE program; the descriptor (CLOEXEC). OSError with the kernel's errno."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Apache")
    attributes = struct.pack(
        "<IIQQ", _TYPE_CGROUP_DEVICE, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(licence)
    )
    return _bpf(_PROG_LOAD, attributes)


def attach_device_program(cgroup_fd: int, program_fd: int) -> None:
    """Attaches to a cgroup v2 directory, replacing every device program that is there (none is left without).

    The old one is replaced in one step (BPF_F_REPLACE, Linux 5.6), so no moment is without a rule.
    """
    present = query_device_programs(cgroup_fd)
    old = [_bpf(_PROG_GET_FD_BY_ID, struct.pack("<III", program, 0, 0)) for program in present]
    try:
        flags, replaced = (_ALLOW_MULTI | _REPLACE, old[0]) if old else (_ALLOW_MULTI, 0)
        _bpf(_PROG_ATTACH, struct.pack("<IIIII", cgroup_fd, program_fd, _ATTACH_CGROUP_DEVICE, flags, replaced))
        for fd in old[1:]:
            _bpf(_PROG_DETACH, struct.pack("<IIIII", cgroup_fd, fd, _ATTACH_CGROUP_DEVICE, 0, 0))
    finally:
        for fd in old:
            os.close(fd)


def query_device_programs(cgroup_fd: int) -> list[int]:
    """Ids of the device programs attached to exactly this cgroup, in the order in which they run."""
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    head = struct.pack("<IIIIQI", cgroup_fd, _ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS)
    buffer = ctypes.create_string_buffer(head, 64)
    syscalls.call(syscalls.BPF, _PROG_QUERY, ctypes.byref(buffer), 64)
    count: int = struct.unpack_from("<I", buffer.raw, 24)[0]
    return list(ids[:count])


def is_supported() -> bool:
    """Whether this process may use bpf(2) for device programs (CAP_BPF or CAP_SYS_ADMIN, CONFIG_CGROUP_BPF)."""
    allow = instruction(MOVE_64_IMMEDIATE, target=R0, immediate=1) + instruction(EXIT)
    try:
        os.close(load_device_program(allow))
    except OSError as problem:
        if problem.errno in (errno.EPERM, errno.EINVAL, errno.ENOSYS):
            return False
        raise
    return True


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    return syscalls.call(syscalls.BPF, command, ctypes.byref(buffer), 128)
