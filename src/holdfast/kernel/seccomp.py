# SPDX-License-Identifier: Apache-2.0
"""System call filters: libseccomp as the compiler, seccomp(2) to install its bytes.

`Compiler` is used where profiles are compiled (daemon, spawner before it forks); `install` on the boot path needs no
library. Knows no profile: `runtime.seccomp` turns OCI objects into calls here. Source: seccomp(2), libseccomp's
seccomp_rule_add(3), seccomp_export_bpf(3), seccomp_attr_set(3); struct seccomp_data in include/uapi/linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import os
import struct

from holdfast.errors import Unsupported
from holdfast.kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LIBRARY = "libseccomp.so.2"
_SET_MODE_FILTER = 1
_FLAG_SPEC_ALLOW = 4
_ATTRIBUTE_OPTIMIZE = 8
_BINARY_TREE = 2
_ARCHITECTURE_EXISTS = -17
_ERROR_ACTION_EQUALS_DEFAULT = -13
INSTRUCTION_BYTES = 8
MOST_INSTRUCTIONS = 4096

# how a name that libseccomp does not know resolves (__NR_SCMP_ERROR)
UNKNOWN = -1


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("index", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Compiler:
    """One filter in the making; close it (or use `with`) to free libseccomp's memory."""

    __slots__ = ("_filter", "_library")

    def __init__(self, default_action: int) -> None:
        self._library = _load()
        self._filter = self._library.seccomp_init(ctypes.c_uint32(default_action))
        if not self._filter:
            raise Unsupported(f"libseccomp refuses the default action {default_action:#x}")
        self._check(self._library.seccomp_attr_set(self._filter, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE), "optimise")

    def __enter__(self) -> Compiler:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.seccomp_release(self._filter)

    def add_architecture(self, token: int) -> None:
        """The filter will judge this architecture's calls too; the machine's own is there from the start."""
        result = self._library.seccomp_arch_add(self._filter, ctypes.c_uint32(token))
        if result != _ARCHITECTURE_EXISTS:
            self._check(result, f"add architecture {token:#x}")

    def number(self, name: str) -> int:
        """The native number of a call; below -1 a pseudo number (exists elsewhere only); `UNKNOWN` for no such name."""
        return self._library.seccomp_syscall_resolve_name(name.encode())

    def number_on(self, token: int, name: str) -> int:
        """As `number`, on another architecture."""
        return self._library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(token), name.encode())

    def add_rule(self, action: int, number: int, comparisons: Sequence[tuple[int, int, int, int]]) -> None:
        """One rule: all comparisons (argument, operator, value, value two) hold -> action. The default is no rule."""
        array = (_Comparison * len(comparisons))(*(_Comparison(*each) for each in comparisons))
        result = self._library.seccomp_rule_add_array(
            self._filter, ctypes.c_uint32(action), ctypes.c_int(number), ctypes.c_uint(len(comparisons)), array
        )
        if result != _ERROR_ACTION_EQUALS_DEFAULT:
            self._check(result, f"add a rule for system call {number}")

    def export(self) -> bytes:
        """The filter as classic BPF instructions."""
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            self._check(self._library.seccomp_export_bpf(self._filter, fd), "export the filter")
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)

    def _check(self, result: int, what: str) -> None:
        if result < 0:
            raise Unsupported(f"libseccomp cannot {what}: {os.strerror(-result).lower()}")


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


def is_available() -> bool:
    """Whether profiles can be compiled here."""
    try:
        _load()
    except Unsupported:
        return False
    return True


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise Unsupported(
            f"{_LIBRARY} is not installed: install it (Debian: apt-get install libseccomp2) or run with seccomp=unconfined"
        ) from None
    library.seccomp_init.restype = ctypes.c_void_p
    pointer, word, number = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
    library.seccomp_release.argtypes = (pointer,)
    library.seccomp_release.restype = None
    library.seccomp_attr_set.argtypes = (pointer, number, word)
    library.seccomp_arch_add.argtypes = (pointer, word)
    library.seccomp_rule_add_array.argtypes = (pointer, word, number, ctypes.c_uint, ctypes.POINTER(_Comparison))
    library.seccomp_export_bpf.argtypes = (pointer, number)
    return library
