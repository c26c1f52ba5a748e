# SPDX-License-Identifier: Apache-2.0
"""The compiled runtime spec: the default sandbox value by value, and what each option changes."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.containers import spec
from holdfast.containers.config import Config, HostConfig, Ulimit
from holdfast.containers.record import MountPoint, Record
from holdfast.containers.sandbox import SandboxDefaults
from holdfast.containers.users import Identity
from holdfast.errors import InvalidArgument
from holdfast.kernel import capabilities
from holdfast.oci.mount import Mount
from holdfast.runtime import defaults

ALL = frozenset(capabilities.NAMES)
STANDARD = SandboxDefaults()


def record(config: Config | None = None, host: HostConfig | None = None, **more: Any) -> Record:
    host = host or HostConfig()
    host.shm_size = host.shm_size or 64 << 20
    host.ipc_mode = host.ipc_mode or "private"
    config = config or Config(env=["A=1"])
    return Record(
        id="c" * 64,
        name="web",
        created_nanos=1,
        image_id="sha256:0",
        driver="overlay2",
        config=config,
        host_config=host,
        path="echo",
        args=["hi"],
        **more,
    )


def compile_(given: Record, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "identity": Identity(home="/root"),
        "netns_path": "/run/netns/x",
        "hostname": "cccccccccccc",
        "cgroup_path": "/docker/c",
        "cgroup_version": 1,
        "bounding": ALL,
        "kernel": "6.1.0",
        "files": [("/d/hosts", "/etc/hosts")],
        **more,
    }
    return spec.compile_spec(given, spec.Surroundings(**values))


def test_the_default_sandbox() -> None:
    document = compile_(record())

    process, linux = document["process"], document["linux"]
    fourteen = [name for name in capabilities.NAMES if name in defaults.CAPABILITIES]
    assert len(fourteen) == 14
    assert process["capabilities"] == {
        "bounding": fourteen,
        "effective": fourteen,
        "permitted": fourteen,
        "inheritable": [],
        "ambient": [],
    }
    assert capabilities.mask(fourteen) == 0xA80425FB
    assert process["args"] == ["echo", "hi"]
    assert process["cwd"] == "/"
    assert process["env"] == [f"PATH={defaults.PATH}", "HOSTNAME=cccccccccccc", "A=1", "HOME=/root"]
    assert process["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}
    assert (process["noNewPrivileges"], process["oomScoreAdj"], process["rlimits"]) == (False, 0, [])
    assert linux["namespaces"] == [
        {"type": "mount"},
        {"type": "network", "path": "/run/netns/x"},
        {"type": "uts"},
        {"type": "pid"},
        {"type": "ipc"},
    ]
    assert set(linux["maskedPaths"]) >= {"/proc/kcore", "/proc/interrupts", "/sys/firmware"}
    assert linux["readonlyPaths"] == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    assert linux["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }
    assert [mount["destination"] for mount in document["mounts"]] == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/mqueue",
        "/dev/shm",
        "/etc/hosts",
    ]
    assert document["mounts"][3]["options"] == ["nosuid", "noexec", "nodev", "ro"]
    assert linux["resources"]["devices"][0] == {"allow": False, "type": "a", "access": "rwm"}
    allowed = {(r["type"], r.get("major"), r.get("minor"), r["access"]) for r in linux["resources"]["devices"][1:]}
    assert allowed == {
        ("b", None, None, "m"),
        ("c", None, None, "m"),
        ("c", 1, 3, "rwm"),
        ("c", 1, 5, "rwm"),
        ("c", 1, 7, "rwm"),
        ("c", 1, 8, "rwm"),
        ("c", 1, 9, "rwm"),
        ("c", 5, 0, "rwm"),
        ("c", 5, 1, "rwm"),
        ("c", 5, 2, "rwm"),
        ("c", 10, 200, "rwm"),
        ("c", 136, None, "rwm"),
    }
    assert "seccomp" not in linux
    assert spec.seccomp_mode(record(), STANDARD) == "default"


def test_privileged_takes_everything_that_the_daemon_has() -> None:
    given = record(host=HostConfig(privileged=True))

    document = compile_(given, bounding=ALL - {"CAP_SYS_RESOURCE"})

    assert document["process"]["capabilities"]["bounding"] == [n for n in capabilities.NAMES if n != "CAP_SYS_RESOURCE"]
    assert document["linux"]["maskedPaths"] == document["linux"]["readonlyPaths"] == []
    assert document["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert spec.seccomp_mode(given, STANDARD) == "unconfined"
    assert "ro" not in next(m for m in document["mounts"] if m["destination"] == "/sys")["options"]


@pytest.mark.parametrize(
    ("add", "drop", "names"),
    [
        ([], ["ALL"], []),
        (["net_admin"], ["all"], ["CAP_NET_ADMIN"]),
        (["ALL"], ["CAP_MKNOD"], [n for n in capabilities.NAMES if n != "CAP_MKNOD"]),
        ([], ["chown"], [n for n in capabilities.NAMES if n in defaults.CAPABILITIES and n != "CAP_CHOWN"]),
    ],
)
def test_capability_arithmetic(add: list[str], drop: list[str], names: list[str]) -> None:
    document = compile_(record(host=HostConfig(cap_add=add, cap_drop=drop)))

    assert document["process"]["capabilities"]["bounding"] == names


def test_modes_join_or_drop_namespaces() -> None:
    host = HostConfig(pid_mode="host", ipc_mode="container:x", uts_mode="host", cgroupns_mode="private")

    document = compile_(record(host=host), netns_path=None, joined={"ipc": "/proc/5/ns/ipc"})

    assert document["linux"]["namespaces"] == [
        {"type": "mount"},
        {"type": "ipc", "path": "/proc/5/ns/ipc"},
        {"type": "cgroup"},
    ]
    assert "hostname" not in document
    assert document["linux"]["sysctl"] == {}


def test_limits_become_resources() -> None:
    host = HostConfig(memory=50 << 20, nano_cpus=500_000_000, pids_limit=50, cpu_shares=512, cpuset_cpus="0")

    resources = compile_(record(host=host))["linux"]["resources"]

    assert resources["memory"] == {"limit": 50 << 20, "swap": 100 << 20}
    assert resources["cpu"] == {"shares": 512, "period": 100000, "quota": 50000, "cpus": "0"}
    assert resources["pids"] == {"limit": 50}


def test_own_mounts_cover_the_standard_ones_and_go_by_depth() -> None:
    host = HostConfig(tmpfs={"/run": "size=1m"}, readonly_rootfs=True)
    points = [
        MountPoint(type="bind", source="/h/deep", destination="/a/b/c", propagation="rslave"),
        MountPoint(type="bind", source="/h/shm", destination="/dev/shm", rw=False),
        MountPoint(type="volume", name="v", destination="/data"),
        MountPoint(type="bind", source="/h/etc", destination="/etc"),
    ]

    document = compile_(record(host=host, mounts=points), volume_sources={"/data": "/vol/v/_data"})

    places = [mount["destination"] for mount in document["mounts"]]
    assert places.index("/etc") < places.index("/etc/hosts")
    own = [mount for mount in document["mounts"] if mount["destination"] in ("/data", "/run", "/dev/shm", "/a/b/c")]
    assert [mount["destination"] for mount in own] == ["/data", "/run", "/dev/shm", "/a/b/c"]
    assert own[0]["source"] == "/vol/v/_data"
    assert own[2]["options"] == ["rbind", "rprivate", "ro", "rro"]
    assert own[3]["options"] == ["rbind", "rslave"]
    assert [m["destination"] for m in document["mounts"]].count("/dev/shm") == 1
    assert document["root"]["readonly"]
    assert next(m for m in document["mounts"] if m["destination"] == "/etc/hosts")["options"][-1] == "ro"


@pytest.mark.parametrize(
    ("propagations", "root"),
    [(["rprivate"], None), (["rslave"], "rslave"), (["slave", "rshared"], "shared"), (["shared"], "shared")],
)
def test_the_root_propagates_what_a_bind_is_to_propagate(propagations: list[str], root: str | None) -> None:
    points = [
        MountPoint(type="bind", source="/s", destination=f"/d{number}", propagation=propagation)
        for number, propagation in enumerate(propagations)
    ]

    assert compile_(record(mounts=points))["linux"].get("rootfsPropagation") == root


def test_an_image_is_mounted_read_only_from_its_view() -> None:
    point = MountPoint(type="image", name="i", source="sha256:1", destination="/i", rw=False, subpath="etc")
    view = Mount("overlay", "overlay", "/", ("lowerdir=/a:/b", "ro"))

    document = compile_(record(mounts=[point]), image_mounts={"/i": view})

    found = next(each for each in document["mounts"] if each["destination"] == "/i")
    assert found == {
        "destination": "/i",
        "type": "overlay",
        "source": "overlay",
        "options": ["lowerdir=/a:/b", "ro", "rprivate"],
        "subpath": "etc",
    }


def test_id_maps_go_to_their_mount() -> None:
    point = MountPoint(type="bind", source="/s", destination="/d", id_map="uids=1000-0-1;gids=5-6-7")

    found = next(each for each in compile_(record(mounts=[point]))["mounts"] if each["destination"] == "/d")

    assert found["uidMappings"] == [{"containerID": 1000, "hostID": 0, "size": 1}]
    assert found["gidMappings"] == [{"containerID": 5, "hostID": 6, "size": 7}]
    assert found["options"][-1] == "idmap"


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], ["rbind", "rprivate", "ro", "rro"]),
        (["readonly-nonrecursive"], ["rbind", "rprivate", "ro"]),
        (["nonrecursive"], ["bind", "rprivate", "ro"]),
    ],
)
def test_how_far_read_only_goes(words: list[str], options: list[str]) -> None:
    point = MountPoint(type="bind", source="/s", destination="/d", rw=False, options=words)

    found = next(each for each in compile_(record(mounts=[point]))["mounts"] if each["destination"] == "/d")

    assert found["options"] == options


def test_security_options() -> None:
    profile = 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'
    document = compile_(record(host=HostConfig(security_opt=["no-new-privileges", profile])))

    assert document["process"]["noNewPrivileges"]
    assert document["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "syscalls": []}
    assert (
        spec.seccomp_mode(record(host=HostConfig(security_opt=["seccomp=unconfined"])), STANDARD)
        == spec.seccomp_mode(record(host=HostConfig(security_opt=[profile])), STANDARD)
        == "unconfined"
    )
    for wrong in ("foo", "foo=bar", "seccomp={", "no-new-privileges=maybe", "systempaths=unconfined"):
        with pytest.raises(InvalidArgument):
            compile_(record(host=HostConfig(security_opt=[wrong])))


def test_the_daemons_defaults_hold_until_a_container_says_otherwise() -> None:
    standard = SandboxDefaults(no_new_privileges=True, seccomp="", seccomp_profile={"defaultAction": "SCMP_ACT_LOG"})

    silent = compile_(record(), standard=standard)
    own = compile_(
        record(host=HostConfig(security_opt=["no-new-privileges:false", "seccomp=builtin"])), standard=standard
    )
    privileged = compile_(record(host=HostConfig(privileged=True)), standard=standard)

    assert silent["process"]["noNewPrivileges"]
    assert silent["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_LOG"
    assert not own["process"]["noNewPrivileges"]
    assert "seccomp" not in own["linux"]
    assert "seccomp" not in privileged["linux"]


def test_a_privileged_container_has_the_filter_that_it_names() -> None:
    host = HostConfig(privileged=True, security_opt=['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'])

    assert compile_(record(host=host))["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"


def test_an_init_comes_first_and_lies_in_the_container() -> None:
    document = compile_(record(), init_source="/d/docker-init")

    assert document["process"]["args"] == ["/sbin/docker-init", "--", "echo", "hi"]
    assert {
        "destination": "/sbin/docker-init",
        "type": "bind",
        "source": "/d/docker-init",
        "options": ["bind", "ro"],
    } in document["mounts"]


def test_writable_cgroups() -> None:
    for word, is_there in (("true", False), ("false", True)):
        document = compile_(record(host=HostConfig(security_opt=[f"writable-cgroups={word}"])))

        mount = next(m for m in document["mounts"] if m["destination"] == "/sys/fs/cgroup")
        assert ("ro" in mount["options"]) is is_there


def test_the_environment_is_merged_by_name() -> None:
    config = Config(env=["PATH=/bin", "HOME=/mine", "B", "C=x=y"], tty=True)

    document = compile_(record(config))

    assert document["process"]["env"] == ["PATH=/bin", "HOSTNAME=cccccccccccc", "TERM=xterm", "HOME=/mine", "C=x=y"]


def test_rlimits_are_named_as_the_kernel_does() -> None:
    host = HostConfig(ulimits=[Ulimit(name="nofile", soft=10, hard=20)])

    limits = compile_(record(host=host))["process"]["rlimits"]

    assert limits == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]
    with pytest.raises(InvalidArgument, match="wrong rlimit value: RLIMIT_FOO"):
        compile_(record(host=HostConfig(ulimits=[Ulimit(name="foo")])))
