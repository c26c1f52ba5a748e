# SPDX-License-Identifier: Apache-2.0
"""System call filters: numbers by libseccomp's tables, classic BPF instructions, seccomp(2) to install them.

`SyscallNames` is used where profiles are compiled (spawner before it forks); `install` on the boot path needs no
library. Knows no profile: `runtime.seccomp` turns OCI objects into programs. Source: seccomp(2),
seccomp_syscall_resolve_name(3), include/uapi/linux/{seccomp,filter}.h.
"""

from __future__ import annotations

import ctypes
import struct

from holdfast.errors import Unsupported
from holdfast.kernel import syscalls

_LIBRARY = "libseccomp.so.2"
_SET_MODE_FILTER = 1
_FLAG_SPEC_ALLOW = 4
INSTRUCTION_BYTES = 8
MOST_INSTRUCTIONS = 4096

# how a name that libseccomp does not know resolves (__NR_SCMP_ERROR)
UNKNOWN = -1


class SyscallNames:
    """libseccomp's tables of system call numbers; Unsupported when the library is missing."""

    __slots__ = ("_resolve",)

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(_LIBRARY)
        except OSError:
            raise Unsupported(
                f"{_LIBRARY} is not installed: install it (Debian: apt-get install libseccomp2) "
                "or run with seccomp=unconfined"
            ) from None
        self._resolve = library.seccomp_syscall_resolve_name_arch
        self._resolve.argtypes = (ctypes.c_uint32, ctypes.c_char_p)

    def number(self, token: int, name: str) -> int:
        """The number on an architecture (SCMP_ARCH token); below -1: it exists elsewhere only; `UNKNOWN`: no such name.

        On x32 numbers carry bit 30, as the kernel sees them.
        """
        return self._resolve(token, name.encode())


def instruction(code: int, immediate: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One classic BPF instruction (struct sock_filter)."""
    return struct.pack("<HBBI", code, if_true, if_false, immediate)


def install(program: bytes) -> None:
    """Puts the calling thread under the filter, for good; needs CAP_SYS_ADMIN or no_new_privs.

    SPEC_ALLOW is set as runc does by default: from Linux 5.16 on it changes nothing, before that it spares the process
    the slow speculation mitigations that a filter implies. About 0.06 ms for the default profile.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HQ", len(program) // INSTRUCTION_BYTES, ctypes.addressof(buffer))
    syscalls.call(syscalls.SECCOMP, _SET_MODE_FILTER, _FLAG_SPEC_ALLOW, ctypes.create_string_buffer(head, len(head)))
