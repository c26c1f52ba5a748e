# SPDX-License-Identifier: Apache-2.0
"""Raw system calls: numbers per architecture and one checked way to make them.

Everything else in `kernel` stands on `call`. Numbers from 424 on are equal on all architectures
(linux/arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h); only older ones need two columns.
The boot path may call this between fork and exec: `call` allocates nothing but its arguments.
"""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 6]

MACHINE = os.uname().machine
_X86 = MACHINE == "x86_64"


def _number(x86_64: int, generic: int) -> int:
    return x86_64 if _X86 else generic


# older calls: x86_64, asm-generic (aarch64)
SETNS = _number(308, 268)
UNSHARE = _number(272, 97)
MOUNT = _number(165, 40)
UMOUNT2 = _number(166, 39)
PIVOT_ROOT = _number(155, 41)
CAPGET = _number(125, 90)
CAPSET = _number(126, 91)
PRCTL = _number(157, 167)
SECCOMP = _number(317, 277)
BPF = _number(321, 280)
KEYCTL = _number(250, 219)
MEMFD_CREATE = _number(319, 279)
SETHOSTNAME = _number(170, 161)
SETDOMAINNAME = _number(171, 162)
RENAMEAT2 = _number(316, 276)
STATX = _number(332, 291)
EXECVEAT = _number(322, 281)
MKNODAT = _number(259, 33)
RT_SIGACTION = _number(13, 134)
RT_SIGPROCMASK = _number(14, 135)
SETGROUPS = _number(116, 159)
SETRESUID = _number(117, 147)
SETRESGID = _number(119, 149)
PRLIMIT64 = _number(302, 261)
FSTATFS = _number(138, 44)
GETSOCKOPT = _number(55, 209)
SETXATTRAT = 463
# new calls: one number everywhere
PIDFD_SEND_SIGNAL = 424
OPEN_TREE = 428
MOVE_MOUNT = 429
FSOPEN = 430
FSCONFIG = 431
FSMOUNT = 432
FSPICK = 433
PIDFD_OPEN = 434
CLONE3 = 435
CLOSE_RANGE = 436
OPENAT2 = 437
PIDFD_GETFD = 438
MOUNT_SETATTR = 442


def call(number: int, a: object = 0, b: object = 0, c: object = 0, d: object = 0, e: object = 0, f: object = 0) -> int:
    """Makes one system call and returns its result; raises OSError with the call's errno when it is -1.

    Integers are passed as 64-bit words, so flags above 2^31 and negative file descriptors arrive whole; bytes (a path,
    a packed structure) and ctypes objects are passed by address, None as a null pointer. Costs about 1.5 µs.
    """
    result: int = _syscall(number, a, b, c, d, e, f)
    if result == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result
