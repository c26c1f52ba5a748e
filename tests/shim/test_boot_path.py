# SPDX-License-Identifier: Apache-2.0
"""What the spawner imports, and so every shim carries: a fixed list, looked at in a child as it is started."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"

PACKAGES = {"errors", "kernel", "logs", "oci", "runtime", "shim"}
HEAVY = {
    "argparse",
    "ast",
    "asyncio",
    "concurrent",
    "contextlib",
    "dataclasses",
    "email",
    "gzip",
    "http",
    "inspect",
    "logging",
    "msgspec",
    "multiprocessing",
    "pathlib",
    "random",
    "shutil",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "urllib",
}


def _imported() -> set[str]:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import holdfast.shim.spawner; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(SOURCE)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_the_boot_path_is_light():
    names = _imported()

    assert not HEAVY & names
    assert {name.split(".")[1] for name in names if name.startswith("holdfast.")} <= PACKAGES
    assert not {"holdfast.shim.client", "holdfast.shim.values", "holdfast.logs.reader"} & names
    assert len(names) <= 190
