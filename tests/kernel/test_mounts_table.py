# SPDX-License-Identifier: Apache-2.0
"""The table of mounts, against the kernel's own and against recorded lines."""

import os

from holdfast.kernel import mount_table

SHARED = rb"36 35 98:0 /mnt1 /mnt\0402 rw,noatime shared:5 - ext3 /dev/root rw,errors=continue" + b"\n"
SLAVE = rb"40 35 0:3 / /a\134b rw master:1 propagate_from:2 - tmpfs - rw" + b"\n"
PRIVATE = b"41 35 0:3 / /private rw - tmpfs shared:9 rw\n"


def test_lines_are_read_as_proc_5_says():
    assert mount_table.parse(SHARED) == ("/mnt 2", True, False)
    assert mount_table.parse(SLAVE) == ("/a\\b", False, True)
    assert mount_table.parse(PRIVATE) == ("/private", False, False)


def test_the_deepest_mount_holds_a_path():
    assert mount_table.find("/proc/self/status").target == "/proc"
    assert mount_table.find("/").target == "/"
    assert mount_table.find(os.path.realpath("/etc")).target in ("/", "/etc")
