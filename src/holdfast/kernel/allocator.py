# SPDX-License-Identifier: Apache-2.0
"""What the C library's allocator keeps of memory that nobody uses any more, and how to have it given back.

For the daemon, which lives long and is busy at times. Other C libraries than glibc have neither call; nothing happens
then. Source: mallopt(3), malloc_trim(3).
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
_ARENAS = 2
_C = ctypes.CDLL(None)


def share_arenas() -> None:
    """Has all threads take their memory from two heaps instead of one each. Before there are threads."""
    if hasattr(_C, "mallopt"):
        _C.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Gives unused pages back to the kernel: 0.1 ms when there are none, a few when there are many."""
    if hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)
