# SPDX-License-Identifier: Apache-2.0
"""The records' reserve on a full disk: ends and removals may take it, new things may not, whether they are durable or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FILLS = """
import os, subprocess, sys
from holdfast import metadata
from holdfast.errors import Exhausted
root, durable = sys.argv[1], sys.argv[2] == "durable"
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", root], check=True)
store = metadata.Store(root + "/metadata.db")
reserve = root + "/metadata.db.reserve"
with store.transaction() as writes:
    writes.put("b", "there", bytes(100))
with open(root + "/ballast", "wb", buffering=0) as file:
    for size in (1 << 20, 4096):
        try:
            while file.write(bytes(size)) == size:
                pass
        except OSError:
            pass

def put(key, is_precious):
    with store.transaction(durable=durable, is_precious=is_precious) as writes:
        writes.put("b", key, bytes(9000))

try:
    put("new", False)
    print("there was room for something new")
except Exhausted:
    pass
assert os.path.exists(reserve) and store.get("b", "new") is None
with store.transaction(durable=durable) as writes:
    writes.delete("b", "there")
assert not os.path.exists(reserve) and store.get("b", "there") is None
put("end", True)
store.flush()
print([key for key, _ in store.items("b")])
"""


@pytest.mark.parametrize("how", ["durable", "quick"])
def test_only_ends_and_removals_take_the_reserve(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", FILLS, str(tmp_path), how],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.returncode) == ("['end']\n", 0), done.stderr
