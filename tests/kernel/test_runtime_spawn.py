# SPDX-License-Identifier: Apache-2.0
"""The sealed interpreter: nothing of what the spawner executes can be opened for writing, by root neither."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROBE = """
import json, os, sys
def main():
    found = {"fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1], "path": sys.path, "writable": []}
    found["environment"] = dict(os.environ)
    names = {line.split()[-1]: line.split()[0] for line in open("/proc/self/maps") if " r-xp " in line and "/" in line}
    found["mapped"] = sorted(names)
    for name, range_ in [*names.items(), ("exe", "")]:
        first, _, last = range_.partition("-")
        file = f"/proc/self/map_files/{int(first, 16):x}-{int(last, 16):x}" if range_ else "/proc/self/exe"
        try:
            os.close(os.open(file, os.O_RDWR))
            found["writable"].append(name)
        except OSError:
            pass
    os.write(3, json.dumps(found).encode())
"""
RUN = """
import os, sys
sys.path[:0] = [sys.argv[1]]
from holdfast.kernel import spawn
spawn._package_directory = lambda: sys.argv[2]
os.set_inheritable(os.open("/", os.O_RDONLY), True)
read, write = os.pipe()
pid, pidfd = spawn.spawn("probe", [write], {"KEPT": "1"})
os.close(write)
sys.stdout.buffer.write(b"".join(iter(lambda: os.read(read, 65536), b"")))
sys.exit(os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status)
"""


@pytest.mark.parametrize("python", [sys.executable, "/usr/bin/python3"])
def test_what_runs_cannot_be_written(python, tmp_path):
    assert shutil.which(python)
    (tmp_path / "probe.py").write_text(PROBE)

    done = subprocess.run([python, "-c", RUN, str(REPOSITORY / "src"), str(tmp_path)], capture_output=True, check=True)

    found = json.loads(done.stdout)
    assert found["fds"] == [0, 1, 2, 3, 4]
    assert found["environment"] == {"KEPT": "1"} | {k: v for k, v in found["environment"].items() if k == "LC_CTYPE"}
    assert found["path"][-1] == str(tmp_path)
    assert all(path.startswith("/proc/self/fd/4/") for path in found["path"][:-1])
    writable = [name for name in found["writable"] if "python" in name or name == "exe"]
    assert writable == []
    assert os.access(os.path.realpath(python), os.W_OK), "the host's own file is as it was"
