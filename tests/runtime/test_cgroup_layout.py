# SPDX-License-Identifier: Apache-2.0
"""Where the cgroup file systems are, read from recorded mountinfo texts."""

from __future__ import annotations

from holdfast.runtime.cgroups import layout

V1_ONE_BY_ONE = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
"""
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"


def test_controllers_mounted_one_by_one() -> None:
    found = layout.parse_mountinfo(V1_ONE_BY_ONE)

    assert found.mode == layout.V1
    assert [(mount.directory, mount.controllers) for mount in found.v1] == [
        ("/sys/fs/cgroup/cpu", ("cpu",)),
        ("/sys/fs/cgroup/memory", ("memory",)),
        ("/sys/fs/cgroup/systemd", ("name=systemd",)),
    ]


def test_a_v2_tree_beside_v1_is_hybrid() -> None:
    found = layout.parse_mountinfo(V1_ONE_BY_ONE + UNIFIED)

    assert (found.mode, found.unified) == (layout.HYBRID, "/sys/fs/cgroup/unified")


def test_v2_alone() -> None:
    found = layout.parse_mountinfo("30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n")

    assert (found.mode, found.unified, found.v1) == (layout.V2, "/sys/fs/cgroup", ())


def test_combined_controllers_are_one_mount() -> None:
    found = layout.parse_mountinfo("30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n")

    assert [mount.controllers for mount in found.v1] == [("cpu", "cpuacct")]


def test_a_second_mount_elsewhere_is_not_preferred() -> None:
    odd = "50 23 0:29 / /mnt/odd\\040place rw - cgroup cgroup rw,cpu\n"

    assert layout.parse_mountinfo(odd + V1_ONE_BY_ONE).v1[0].directory == "/sys/fs/cgroup/cpu"
    assert layout.parse_mountinfo(odd).v1[0].directory == "/mnt/odd place"


def test_nothing_mounted_is_an_empty_layout() -> None:
    found = layout.parse_mountinfo("23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\n")

    assert (found.v1, found.unified) == ((), None)
