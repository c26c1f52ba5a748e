# SPDX-License-Identifier: Apache-2.0
"""A child that runs in its maker's memory until it executes: vfork(2), for Python.

A forked Python pays 3-4 µs for every page that it touches, 400 of them between clone3 and execve, and the fork itself
takes 0.5 ms for a process of 13 MB. A child with CLONE_VM | CLONE_VFORK pays none of it: measured on the 2-core VM, 7
page faults instead of 65 before the first line, 0.1 ms instead of 0.6. The maker sleeps meanwhile; when the child has
executed (or died) the interpreter's state is the child's, deep in its calls, so the maker ends at once: it is used up.
The child has a stack of its own and copies of descriptors, signals, directory and credentials.

Called by the runtime, in a process that was forked for one start. From CPython 3.14 on the interpreter checks the C
stack's addresses, which `is_possible` answers with no. Source: clone(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_CLONE_VM = 0x100
_CLONE_VFORK = 0x4000
_CLONE_PARENT = 0x8000
_STACK_BYTES = 1 << 20
_DIED = 1
_LEAST_URGENT = 19

_BODY = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
# PyDLL keeps the interpreter's lock over the call: the child runs as the thread that holds it
_clone = ctypes.PyDLL(None, use_errno=True).clone
_clone.restype = ctypes.c_int
_clone.argtypes = [_BODY, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]


def is_possible() -> bool:
    """Whether this interpreter can be lent."""
    return sys.version_info < (3, 14)


def become(body: Callable[[], None], flags: int, closes: int) -> NoReturn:
    """Makes a child of this process's parent in new namespaces (`flags`), runs `body` in it, and ends this process.

    `body` executes or fails: when it returns or raises the child ends with status 1. Descriptor `closes` is closed here
    before the end, so that who reads its other side hears of the execve at once; the end itself, a millisecond of giving
    pages back, has the lowest priority. Raises OSError when there is no child; nothing has changed then. The caller has
    reset its signal handlers: the child has them too.
    """

    def run(_: int | None) -> int:
        try:
            body()
        finally:
            os._exit(_DIED)

    entry = _BODY(run)
    stack = mmap.mmap(-1, _STACK_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_STACK)
    top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + _STACK_BYTES
    close, leave, yield_to_others = os.close, os._exit, os.nice
    all_flags = flags | _CLONE_VM | _CLONE_VFORK | _CLONE_PARENT | signal.SIGCHLD
    pid = _clone(entry, top, ctypes.c_int(all_flags).value, None)
    if pid == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    close(closes)
    yield_to_others(_LEAST_URGENT)
    leave(0)
