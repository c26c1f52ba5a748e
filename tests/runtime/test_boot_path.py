# SPDX-License-Identifier: Apache-2.0
"""What the spawner, the shims and every init carry: the runtime imports nothing heavy, and nothing late."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
ALLOWED = {
    *("_collections", "_ctypes", "_functools", "_operator", "_socket", "_stat", "_struct", "array", "collections"),
    *("ctypes", "enum", "errno", "fcntl", "functools", "gc", "genericpath", "itertools", "keyword", "math"),
    *(
        "mmap",
        "operator",
        "os",
        "posixpath",
        "reprlib",
        "select",
        "selectors",
        "signal",
        "socket",
        "stat",
        "struct",
        "types",
    ),
    *("__future__", "_collections_abc", "holdfast"),
}


def test_the_runtime_imports_only_what_is_listed():
    script = (
        "import sys; before = set(sys.modules); sys.path.append(sys.argv[1]); import holdfast.runtime; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(SOURCE)], capture_output=True, text=True, check=True
    )

    assert set(done.stdout.split()) <= ALLOWED
