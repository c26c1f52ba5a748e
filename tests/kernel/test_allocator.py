# SPDX-License-Identifier: Apache-2.0
"""Memory that is free but held goes back to the kernel."""

import subprocess
import sys

SCRIPT = """
from pathlib import Path
from holdfast.kernel import allocator

def held():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))

allocator.share_arenas()
large = [bytearray(60_000) for _ in range(500)]
pin = bytearray(60_000)
large.clear()
before = held()
allocator.trim()
print(before, held())
"""


def test_what_is_free_below_something_used_is_given_back() -> None:
    shown = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout

    before, after = map(int, shown.split())
    assert before - after > 20_000  # of 30 MB
