# SPDX-License-Identifier: Apache-2.0
"""A default container is exactly the sandbox of security.md §3: capabilities, mounts, devices, masks, fds, limits."""

import re
import signal
from pathlib import Path

import pytest

from holdfast.kernel import capabilities
from holdfast.runtime import cgroups, defaults

DEFAULT_MASK = "00000000a80425fb"


def status_of(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def test_root_has_the_fourteen_capabilities_and_no_more(sandbox):
    status = status_of(sandbox.run(sandbox.spec("cat", "/proc/self/status"))["out"])

    assert status["CapInh"] == status["CapAmb"] == "0" * 16
    assert status["CapPrm"] == status["CapEff"] == status["CapBnd"] == DEFAULT_MASK
    assert status["NoNewPrivs"] == "0"
    assert status["Umask"] == "0022"
    assert status["Groups"] == "0"
    assert len(status["NSpid"].split()) == 1
    assert int(status["SigIgn"], 16) == 0
    assert int(status["SigBlk"], 16) == 0


def test_another_user_has_no_capability(sandbox):
    user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6]}
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status", user=user))

    status = status_of(answer["out"])
    assert status["CapInh"] == status["CapPrm"] == status["CapEff"] == status["CapAmb"] == "0" * 16
    assert status["CapBnd"] == DEFAULT_MASK
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1001"] * 4
    assert status["Groups"] == "5 6"


def test_ambient_capabilities_reach_another_user(sandbox):
    names = ["CAP_NET_BIND_SERVICE"]
    sets = dict.fromkeys(("bounding", "effective", "permitted", "inheritable", "ambient"), names)
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status", user={"uid": 7}, capabilities=sets))

    status = status_of(answer["out"])
    assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0000000000000400"}


def test_no_capabilities_is_none_at_all(sandbox):
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status", capabilities={}))

    status = status_of(answer["out"])
    assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}


def test_capabilities_that_this_machine_lacks_are_left_out_and_named(sandbox):
    everything = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_SYS_ADMIN", "CAP_FROM_THE_FUTURE"]
    sets = {"bounding": everything, "effective": everything, "permitted": everything}
    own = int(status_of(Path("/proc/self/status").read_text())["CapBnd"], 16)
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status", capabilities=sets))

    expected = (1 | 1 << 24 | 1 << 21) & own
    assert int(status_of(answer["out"])["CapEff"], 16) == expected
    assert answer["missing"] == ([] if own >> 24 & 1 else ["CAP_SYS_RESOURCE"])


def test_no_new_privileges_is_set_when_asked(sandbox):
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status", noNewPrivileges=True))

    assert status_of(answer["out"])["NoNewPrivs"] == "1"


def test_the_default_filter_is_on(sandbox):
    answer = sandbox.run(sandbox.spec("cat", "/proc/self/status"), seccomp=list(defaults.CAPABILITIES))

    status = status_of(answer["out"])
    assert (status["Seccomp"], status["Seccomp_filters"]) == ("2", "1")


def test_the_mounts_are_docker_s(sandbox):
    lines = sandbox.shell("cat /proc/self/mountinfo").splitlines()

    seen = {fields[4]: (fields[5], fields[fields.index("-") + 1]) for fields in map(str.split, lines)}
    covers = {target: seen.pop(target) for target in list(seen) if target.startswith(("/proc/", "/sys/"))}
    assert seen == {
        "/": ("rw,relatime", "overlay"),
        "/proc": ("rw,nosuid,nodev,noexec,relatime", "proc"),
        "/dev": ("rw,nosuid", "tmpfs"),
        "/dev/pts": ("rw,nosuid,noexec,relatime", "devpts"),
        "/sys": ("ro,nosuid,nodev,noexec,relatime", "sysfs"),
        "/dev/mqueue": ("rw,nosuid,nodev,noexec,relatime", "mqueue"),
        "/dev/shm": ("rw,nosuid,nodev,noexec,relatime", "tmpfs"),
    }
    assert covers.keys() >= {"/proc/sys", "/proc/bus", "/proc/keys", "/sys/firmware"}
    assert all(options.startswith("ro,") for options, _ in covers.values())
    assert not [line for line in lines if "shared:" in line or "master:" in line]


def test_masked_files_are_the_null_device_and_cannot_be_changed(sandbox):
    script = "stat -c '%t:%T %F' /proc/keys; cat /proc/keys; chmod 0 /proc/keys 2>&1 || true; ls /sys/firmware"
    lines = sandbox.shell(script).splitlines()

    assert lines == ["1:3 character special file", "chmod: /proc/keys: Read-only file system"]


def test_readonly_paths_refuse_writes(sandbox):
    out = sandbox.shell("echo x > /proc/sys/kernel/core_pattern || true; ls /proc/sys/kernel/hostname")

    assert "Read-only file system" in out


def test_dev_has_the_default_nodes_and_links(sandbox):
    out = sandbox.shell("cd /dev; for f in *; do echo $f $(stat -c '%F %t:%T %a' $f) $(readlink $f); done")

    entries = {name: rest for name, _, rest in (line.partition(" ") for line in out.splitlines())}
    assert set(entries) == {
        *("null", "zero", "full", "random", "urandom", "tty"),
        *("fd", "stdin", "stdout", "stderr", "ptmx", "pts", "mqueue", "shm"),
    }
    assert entries["null"] == "character special file 1:3 666"
    assert entries["tty"] == "character special file 5:0 666"
    assert entries["ptmx"].endswith(" pts/ptmx")
    assert entries["fd"].endswith(" /proc/self/fd")


def test_three_descriptors_and_no_more_though_the_maker_leaks(sandbox):
    script = "ls /proc/$$/fd; readlink /proc/$$/cwd"
    out = sandbox.run(sandbox.spec("sh", "-c", script), leaked=list(range(40, 60)))["out"]

    assert out.split() == ["0", "1", "2", "/"]


def test_sysctls_and_hostname_are_the_container_s(sandbox):
    out = sandbox.shell(
        "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ping_group_range"
    )

    assert out.split() == ["sandbox", "0", "0", "2147483647"]


def test_a_terminal_is_the_container_s_own(sandbox):
    process = {"terminal": True, "consoleSize": {"height": 33, "width": 99}}
    script = "tty; stty size; stat -c '%t' /dev/console; grep console /proc/self/mountinfo"
    out = sandbox.run(sandbox.spec("sh", "-c", script, **process))["out"].splitlines()

    assert out[:3] == ["/dev/pts/0", "33 99", "88"]
    assert " /0 /dev/console " in out[3]
    assert " devpts " in out[3]


def test_a_terminal_belongs_to_its_user(sandbox):
    process = {"terminal": True, "user": {"uid": 1000, "gid": 1000}}
    out = sandbox.run(sandbox.spec("sh", "-c", "stat -c %u $(tty); echo ok > /dev/tty", **process))["out"].split()

    assert out == ["1000", "ok"]


def test_limits_are_set_and_never_raised_over_our_own(sandbox):
    limits = [
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NOFILE", "soft": 1 << 40, "hard": 1 << 40},
    ]
    answer = sandbox.run(sandbox.spec("sh", "-c", "ulimit -c; ulimit -n", rlimits=limits))

    core, files = answer["out"].split()
    assert core == "0"
    assert int(files) > 0


@pytest.mark.parametrize("files", [6, 20])
def test_few_files_are_enough_for_the_start(sandbox, files):
    limits = [{"type": "RLIMIT_NOFILE", "soft": files, "hard": files}]
    process = {"rlimits": limits, "user": {"uid": 1000, "gid": 1000}}

    answer = sandbox.run(sandbox.spec("sh", "-c", "ulimit -n", **process), seccomp=list(defaults.CAPABILITIES))

    assert answer["out"] == f"{files}\n"


def test_a_working_directory_is_made(sandbox):
    assert sandbox.run(sandbox.spec("pwd", cwd="/new/deep"))["out"] == "/new/deep\n"


def test_home_comes_from_passwd_when_nobody_gives_it(sandbox):
    spec = sandbox.spec("sh", "-c", "echo $HOME", env=["PATH=/bin"])
    assert sandbox.run(spec)["out"] == "/root\n"

    spec["process"]["user"] = {"uid": 4711}
    assert sandbox.run(spec)["out"] == "/\n"


def test_a_readonly_root_is_readonly(sandbox):
    spec = sandbox.spec("sh", "-c", "touch /x; touch /dev/shm/y && echo shm")
    spec["root"]["readonly"] = True

    assert sandbox.run(spec)["out"] == "touch: /x: Read-only file system\nshm\n"


@pytest.mark.parametrize("code", [0, 1, 125, 255])
def test_exit_codes_are_the_command_s(sandbox, code):
    assert sandbox.run(sandbox.spec("sh", "-c", f"exit {code}"))["status"] == code


def test_a_killed_command_says_so(sandbox):
    assert sandbox.run(sandbox.spec("sleep", "100"), kill=True)["status"] == 128 + signal.SIGKILL


def test_cgroups_are_mounted_read_only_and_joined(sandbox):
    path = f"/rt-test-{sandbox.scratch.name}"
    spec = sandbox.spec("sh", "-c", "cat /proc/self/cgroup; echo; cat /proc/self/mountinfo")
    place = next(i for i, mount in enumerate(spec["mounts"]) if mount["destination"] == "/sys")
    options = ["ro", "nosuid", "noexec", "nodev"]
    spec["mounts"].insert(
        place + 1, {"type": "cgroup", "source": "cgroup", "destination": "/sys/fs/cgroup", "options": options}
    )
    try:
        groups, _, mounts = sandbox.run(spec, cgroup=path)["out"].partition("\n\n")
    finally:
        cgroups.detect().open(path).remove()

    assert path in groups
    cgroup_mounts = [line for line in mounts.splitlines() if re.search(r" - cgroup2? ", line)]
    assert cgroup_mounts
    assert all(" ro,nosuid,nodev,noexec," in line for line in cgroup_mounts)


def test_a_root_of_a_hundred_and_thirty_layers(sandbox):
    layers = [sandbox.scratch / f"layer-{number}" for number in range(130)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file-{number}").touch()
    sandbox.root = f"{':'.join(map(str, layers))}:{sandbox.root}"

    assert sandbox.shell("ls /file-* | wc -l") == "130\n"


def test_a_bundle_s_directory_can_be_the_root(sandbox, busybox):
    spec = sandbox.spec("ls", "/bin/busybox")
    spec["root"] = {"path": str(busybox), "readonly": True}
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] in ("/proc", "/dev")]
    answer = sandbox.run(spec, bare=True)

    assert answer["out"] == "/bin/busybox\n"


def test_privileged_sees_everything_and_starts_without_what_we_lack(sandbox):
    names = list(capabilities.NAMES)
    spec = sandbox.spec(
        "sh",
        "-c",
        "mkdir /mnt && mount -t tmpfs x /mnt && echo mounted; ls /sys/firmware | wc -l; cat /proc/keys > /dev/null",
        capabilities={"bounding": names, "effective": names, "permitted": names},
    )
    spec["linux"] |= {"maskedPaths": [], "readonlyPaths": []}
    for mount in spec["mounts"]:
        mount["options"] = [word for word in mount["options"] if word != "ro"]
    answer = sandbox.run(spec)

    assert answer["out"].startswith("mounted")
    assert answer["status"] == 0
