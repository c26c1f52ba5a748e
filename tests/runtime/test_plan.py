# SPDX-License-Identifier: Apache-2.0
"""The plan of a start: what a spec means, and what is refused before anything exists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel import capabilities, mount, namespaces, process
from holdfast.oci.mount import Mount
from holdfast.runtime import StartError, defaults
from holdfast.runtime.mounts import clean, plan_mount
from holdfast.runtime.plan import plan_create, plan_process


def spec_with(**linux):
    return {
        "process": {"args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": name} for name in defaults.NAMESPACES], **linux},
    }


def plan_of(spec, rootfs_mounts=None):
    return plan_create("id", spec, rootfs_mounts, "/bundle")


def test_namespaces_become_flags_and_joins():
    listed = [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/run/netns/x"}]
    plan = plan_of(spec_with(namespaces=listed))

    assert plan.clone_flags == namespaces.NEWNS | namespaces.NEWPID
    assert plan.joins == ((namespaces.NEWNET, "/run/netns/x"),)


@pytest.mark.parametrize(
    "listed",
    [
        [{"type": "mount"}, {"type": "mount"}],
        [{"type": "mount"}, {"type": "teapot"}],
        [{"type": "pid"}],
        [{"type": "mount"}, {}],
    ],
)
def test_wrong_namespaces_are_refused(listed):
    with pytest.raises(StartError):
        plan_of(spec_with(namespaces=listed))


def test_a_relative_root_counts_from_the_bundle():
    assert plan_of(spec_with()).root_path == "/bundle/rootfs"


def test_rootfs_mounts_are_planned_by_their_words():
    plan = plan_of(spec_with(), [Mount("overlay", "overlay", "/", ("lowerdir=/a:/b", "nosuid"))])

    assert plan.rootfs_mounts is not None
    (root,) = plan.rootfs_mounts
    assert root.data == ("lowerdir=/a:/b",)
    assert root.attributes_add == mount.ATTR_NOSUID


def test_the_default_devices_are_always_there_and_can_be_changed():
    assert [device.path for device in plan_of(spec_with()).devices] == [path for path, *_ in defaults.DEVICES]

    changed = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 5}]
    null = plan_of(spec_with(devices=changed)).devices[0]
    assert (null.path, null.mode, null.uid) == ("/dev/null", 0o600, 5)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("kernel.shmmax", "kernel/shmmax"),
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
        ("kernel.domainname", "kernel/domainname"),
    ],
)
def test_sysctls_of_own_namespaces_are_allowed(name, path):
    assert plan_of(spec_with(sysctl={name: "1"})).sysctls == ((path, "1"),)


@pytest.mark.parametrize(
    "name",
    ["kernel.core_pattern", "vm.overcommit_memory", "net.", "", "net/../kernel/panic", "kernel.shmmax/x", "/net/x"],
)
def test_sysctls_of_the_host_are_refused(name):
    with pytest.raises(StartError):
        plan_of(spec_with(sysctl={name: "1"}))


def test_a_sysctl_needs_the_namespace():
    listed = [{"type": "mount"}, {"type": "pid"}]

    with pytest.raises(StartError, match="not allowed in host network namespace"):
        plan_of(spec_with(namespaces=listed, sysctl={"net.ipv4.ip_forward": "1"}))


def test_a_bound_dev_is_left_alone():
    spec = spec_with()
    spec["mounts"] = [{"destination": "/dev", "type": "bind", "source": "/x", "options": ["rbind"]}]

    assert not plan_of(spec).sets_up_dev


def test_capabilities_are_masks_and_stay_within_our_own():
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE"]
    planned = plan_process({"args": ["x"], "capabilities": {"bounding": names, "effective": names}})

    assert planned.capabilities is not None
    assert planned.capabilities.bounding == capabilities.BITS["CAP_CHOWN"] | capabilities.BITS["CAP_SYS_RESOURCE"]
    limited = planned.capabilities.limited_to(capabilities.BITS["CAP_CHOWN"])
    assert (limited.bounding, limited.effective, limited.permitted) == (1, 1, 0)


def test_the_default_capabilities_are_docker_s():
    assert capabilities.mask(defaults.CAPABILITIES) == 0xA80425FB


@given(st.sets(st.sampled_from(capabilities.NAMES)))
def test_names_and_masks_are_the_same_set(names):
    assert set(capabilities.names_of(capabilities.mask(names))) == names


def test_environment_entries_without_a_value_are_left_out_and_the_last_one_counts():
    planned = plan_process({"args": ["x"], "env": ["A=1", "B", "=x", "A=2", "HOME="]})

    assert planned.environment == {"A": "2", "HOME": ""}
    assert not planned.has_home


@pytest.mark.parametrize("document", [{}, {"args": []}, {"args": ["x"], "cwd": "relative"}])
def test_a_process_without_sense_is_refused(document):
    with pytest.raises(StartError):
        plan_process(document)


def test_an_unlimited_rlimit_is_infinity():
    planned = plan_process({"args": ["x"], "rlimits": [{"type": "RLIMIT_CORE", "soft": -1, "hard": 2**64 - 1}]})

    assert planned.rlimits == ((process.RLIMITS["RLIMIT_CORE"], process.INFINITY, process.INFINITY),)


@pytest.mark.parametrize(
    ("words", "add", "remove"),
    [
        (("ro", "nosuid"), mount.ATTR_RDONLY | mount.ATTR_NOSUID, 0),
        (("ro", "rw"), 0, mount.ATTR_RDONLY),
        (("noexec", "exec", "nodev"), mount.ATTR_NODEV, mount.ATTR_NOEXEC),
        (("strictatime",), mount.ATTR_STRICTATIME, 0),
    ],
)
def test_flags_are_read_from_left_to_right(words, add, remove):
    planned = plan_mount("tmpfs", "tmpfs", "/x", words)

    assert (planned.attributes_add, planned.attributes_remove) == (add, remove)


def test_words_of_the_file_system_are_its_data():
    planned = plan_mount("tmpfs", "shm", "/dev/shm", ("nosuid", "mode=1777", "size=64m"))

    assert planned.data == ("mode=1777", "size=64m")


def test_recursive_words_and_propagation():
    planned = plan_mount("bind", "/s", "/x", ("rbind", "rro", "rslave"))

    assert planned.recursive
    assert planned.tree_add == mount.ATTR_RDONLY
    assert (planned.propagation, planned.propagation_recursive) == (mount.MS_SLAVE, True)


def test_an_unknown_word_of_a_bind_is_refused():
    with pytest.raises(StartError, match="upperdir=/x"):
        plan_mount("bind", "/s", "/x", ("bind", "upperdir=/x"))


@pytest.mark.parametrize("target", ["/proc/sys", "/proc/self/../kcore", "//proc///1", "/x/../proc/x"])
def test_targets_inside_proc_are_refused_by_their_letters(target):
    with pytest.raises(StartError, match="inside /proc"):
        plan_mount("bind", "/s", target, ("bind",))


@given(st.text(alphabet="/.ab", max_size=30))
def test_a_clean_path_is_absolute_and_stays_clean(path):
    cleaned = clean(path)

    assert cleaned.startswith("/")
    assert clean(cleaned) == cleaned
    assert not {"", ".", ".."} & set(cleaned[1:].split("/")) or cleaned == "/"
