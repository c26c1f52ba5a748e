# SPDX-License-Identifier: Apache-2.0
"""Locks, pid files, roots and descriptors."""

import os
import stat
import subprocess
import sys

import pytest

from holdfast.daemon import lifetime
from holdfast.errors import Conflict, InvalidArgument


def test_a_data_root_has_one_daemon(tmp_path):
    first = lifetime.DataRootLock(str(tmp_path))

    with pytest.raises(Conflict, match=f"in use by another holdfastd .pid {os.getpid()}."):
        lifetime.DataRootLock(str(tmp_path))
    first.release()
    lifetime.DataRootLock(str(tmp_path)).release()


def test_roots_are_made_private_and_repaired(tmp_path):
    data, run = tmp_path / "a" / "data", tmp_path / "run"
    data.mkdir(mode=0o755, parents=True)

    lifetime.make_roots(str(data), str(run))

    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(run.stat().st_mode) == 0o711


def test_a_root_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InvalidArgument, match=r"cannot use .*file/data"):
        lifetime.make_roots(str(tmp_path / "file" / "data"), str(tmp_path))


def test_the_pid_file_is_replaced_and_removed_only_when_ours(tmp_path):
    path = tmp_path / "sub" / "pid"
    lifetime.write_pidfile(str(path))
    lifetime.write_pidfile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"

    lifetime.remove_pidfile(str(path))
    assert not path.exists()

    path.write_text("1\n")
    lifetime.remove_pidfile(str(path))
    assert path.exists()


def test_inherited_descriptors_are_closed():
    """security.md R3: a daemon started with leaked directories keeps none of them."""
    leaked = [os.open("/", os.O_RDONLY) for _ in range(20)]
    for number in leaked:
        os.set_inheritable(number, True)
    program = "import os; from holdfast.daemon import lifetime; lifetime.close_inherited(); print(os.listdir('/proc/self/fd'))"

    done = subprocess.run([sys.executable, "-c", program], close_fds=False, capture_output=True, text=True, check=True)

    for number in leaked:
        os.close(number)
    assert done.stdout.strip() == "['0', '1', '2', '3']"
