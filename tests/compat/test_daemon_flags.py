# SPDX-License-Identifier: Apache-2.0
"""The daemon's defaults for containers, by the same flags on both daemons: each is seen from inside a container or at the host."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from compat_case import Case, compare
from flagged_daemons import IMAGE, Pair, StartBoth

GROUP = f"/hf-flags-{os.getpid()}"
PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
}
DEVICES = {
    "cdiVersion": "0.6.0",
    "kind": "made.test/thing",
    "devices": [{"name": name, "containerEdits": {"env": [f"THING={name}"]}} for name in ("one", "two")],
}
FLAGS = (
    "--default-ulimit=nofile=1000:2000",
    "--default-ulimit=nproc=500",
    "--default-shm-size=32m",
    "--default-ipc-mode=shareable",
    "--default-cgroupns-mode=host",
    "--init",
    "--no-new-privileges",
    f"--cgroup-parent={GROUP}",
    "--dns=192.0.2.1",
    "--dns-opt=ndots:3",
    "--dns-search=example.test",
    "--mtu=1400",
    "--ip=127.0.0.1",
    "--bip=10.77.0.1/24",
    "--fixed-cidr=10.77.0.128/25",
    "--default-address-pool=base=10.88.0.0/16,size=24",
    "--host-gateway-ip=10.9.9.9",
    "--log-driver=local",
    "--log-opt=max-size=1m",
    "--label=one=1",
    "--label=two=",
    "--insecure-registry=reg.example.test:5000",
    "--insecure-registry=10.5.0.0/16",
    "--registry-mirror=http://mirror.example.test",
    "--default-network-opt=bridge=com.docker.network.driver.mtu=1290",
    "--default-network-opt=bridge=com.docker.network.enable_ipv6=true",
    "--userland-proxy=false",
)


def inside(name: str, flags: str, script: str) -> Case:
    return Case(name, f"docker run --rm {flags} {IMAGE} sh -c '{script}'")


CASES = [
    Case(
        "options of new networks",
        "docker network create --config-only --subnet 10.66.1.0/24 of >/dev/null;"
        'for flags in "" "--ipv6=false" "-o com.docker.network.driver.mtu=1300" "--config-from of" "-d macvlan -o parent=lo --subnet 10.66.2.0/24"; do'
        " docker network create $flags on >/dev/null && docker network inspect on | jq -c '.[0]|.Options,.EnableIPv6';"
        f" docker run --rm --network on {IMAGE} cat /sys/class/net/eth0/mtu; docker network rm on; done; docker network rm of",
    ),
    inside("ulimits", "", "ulimit -Sn; ulimit -Hn; ulimit -Su"),
    inside("ulimits, one of the container's own", "--ulimit nofile=99", "ulimit -Sn; ulimit -Hn; ulimit -Su"),
    inside("shm", "", 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'),
    inside("shm of its own", "--shm-size 8m", 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'),
    inside("init", "", "cat /proc/1/comm | sed s/docker-init/init/"),
    inside("no new privileges", "", "grep NoNewPrivs /proc/self/status"),
    inside("no new privileges, undone", "--security-opt no-new-privileges=false", "grep NoNewPrivs /proc/self/status"),
    inside("control groups of the host", "", "grep pids /proc/self/cgroup | sed -E s/[0-9a-f]{64}/ID/"),
    inside("a control group namespace", "--cgroupns private", "grep pids /proc/self/cgroup"),
    inside(
        "a parent of its own", f"--cgroup-parent {GROUP}-own", "grep pids /proc/self/cgroup | sed -E s/[0-9a-f]{64}/ID/"
    ),
    inside("resolv.conf", "", "grep -v -e ^# -e ^$ /etc/resolv.conf"),
    inside("resolv.conf of its own", "--dns 192.0.2.9 --dns-search .", "grep -v -e ^# -e ^$ /etc/resolv.conf"),
    inside("the bridge", "", "ip -o -4 addr show eth0; cat /sys/class/net/eth0/mtu; ip route"),
    inside("host-gateway", "--add-host up:host-gateway", "grep up /etc/hosts"),
    Case(
        "a network of the pool",
        "docker network create p1 >/dev/null; docker network create p2 >/dev/null; docker network inspect -f "
        "'{{(index .IPAM.Config 0).Subnet}} {{json .Options}}' p1 p2;"
        f"docker run --rm --network p1 {IMAGE} cat /sys/class/net/eth0/mtu; docker network rm p1 p2",
    ),
    Case(
        "ports on the host's address",
        f"docker run -d --name cc -p 18700:80 -p 0.0.0.0:18701:80 {IMAGE} nc -lk -p 80 -e echo hi >/dev/null; docker port cc;"
        "docker inspect -f '{{json .HostConfig.PortBindings}}' cc; timeout 2 socat -u TCP:127.0.0.1:18700 -; docker rm -f cc",
    ),
    Case(
        "ipc that can be shared",
        f"docker run -d --name cc {IMAGE} sleep 100 >/dev/null; docker exec cc sh -c 'echo x > /dev/shm/x';"
        f"docker run --rm --ipc container:cc {IMAGE} cat /dev/shm/x; docker inspect -f '{{{{.HostConfig.IpcMode}}}} {{{{.HostConfig.ShmSize}}}}' cc; docker rm -f cc",
    ),
    Case(
        "what inspect shows",
        f"docker create --name cc {IMAGE} true >/dev/null; docker inspect cc | jq -c '.[0].HostConfig|[.LogConfig,(.Ulimits|sort_by(.Name)),.Init,.CgroupnsMode,.IpcMode,.CgroupParent,.SecurityOpt,.Dns,.DnsOptions,.DnsSearch,.Runtime]' | sed s/holdfast/runc/; docker rm cc",
    ),
    Case(
        "logs of the default driver",
        f"docker run --name cc {IMAGE} echo said; docker logs cc; docker inspect -f '{{{{.LogPath}}}}' cc | wc -c; docker rm cc;"
        f"docker run --name cc --log-driver json-file {IMAGE} echo said; docker inspect -f '{{{{json .HostConfig.LogConfig}}}}' cc; docker rm cc",
    ),
    Case(
        "info",
        "docker info -f '{{json .Labels}}' | jq -c sort; docker info -f '{{.LoggingDriver}} {{json .RegistryConfig.InsecureRegistryCIDRs}} {{json .RegistryConfig.Mirrors}} {{json .DefaultAddressPools}} {{.CgroupDriver}}';"
        "docker info -f '{{json .RegistryConfig.IndexConfigs}}' | jq -cS .;"
        'docker info -f \'{{json .SecurityOptions}}\' | jq -c \'map(select(startswith("name=no-new") or startswith("name=cgroupns") or startswith("name=seccomp")))\'',
    ),
    Case(
        "devices that the machine describes",
        f"docker run --rm --device made.test/thing=one {IMAGE} sh -c 'echo $THING'; docker info -f '{{{{json .CDISpecDirs}}}}' | grep -o described;"
        'curl -s --unix-socket "$SOCKET" http://d/v1.51/info | jq -c .DiscoveredDevices; curl -s --unix-socket "$SOCKET" http://d/v1.49/info | jq -c .DiscoveredDevices;'
        "docker info -f '{{json .Warnings}}' | jq -c 'map(select(test(\"seccomp\")))'",
    ),
    inside("the seccomp profile", "", "mkdir /x"),
    inside("the seccomp profile, undone", "--security-opt seccomp=unconfined", "mkdir /x"),
    inside("the seccomp profile, built in", "--security-opt seccomp=builtin", "mkdir /x"),
]


@pytest.fixture(scope="module")
def both(start_both: StartBoth, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    profile = tmp_path_factory.mktemp("profile") / "profile.json"
    profile.write_text(json.dumps(PROFILE))
    described = tmp_path_factory.mktemp("described")
    (described / "made.json").write_text(json.dumps(DEVICES))
    more = (f"--seccomp-profile={profile}", f"--cdi-spec-dir={described}", "--feature=cdi")
    with start_both(f"hf-fl-{os.getpid()}", *FLAGS, *more) as pair:
        yield pair
    for group in Path("/sys/fs/cgroup").glob(f"*{GROUP}*"):  # parents are left by both
        group.rmdir()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_default_of_the_daemon(case: Case, both: Pair, tmp_path: Path) -> None:
    compare(case, *both, tmp_path)
