# SPDX-License-Identifier: Apache-2.0
"""Flags of `docker run` for identity, streams, limits, health and logs: each acts as dockerd's does.

Every case looks where the flag must show: inside the container, in the kernel's control groups, in inspect, in the log.
"""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
RUN = f"docker run --rm --network none {{}} {IMAGE} {{}}"
GROUPS = "/sys/fs/cgroup"


def inside(name: str, flags: str, command: str, **more: object) -> Case:
    """A case that runs a command with some flags; the flags are what it shows."""
    shown = tuple(word.partition("=")[0] for word in flags.split() if word.startswith("--"))
    return Case(name, RUN.format(flags, command), flags=shown, **more)  # type: ignore[arg-type]


def inspected(name: str, flags: str, field: str, **more: object) -> Case:
    """A case that creates a container and prints fields of its inspect."""
    shown = tuple(word.partition("=")[0] for word in flags.split() if word.startswith("--"))
    script = f"docker create --name lim {flags} {IMAGE} >/dev/null; docker inspect -f '{field}' lim; docker rm lim >/dev/null"
    return Case(name, script, flags=shown, **more)  # type: ignore[arg-type]


def group_file(*names: str) -> str:
    return f"sh -c 'cd {GROUPS}; head -v -n5 {' '.join(names)}'"


IDENTITY = [
    Case("name and label", f"docker run -d --name lim --label a=b --label c {IMAGE} true >/dev/null; docker wait lim; docker ps -a --filter label=a=b --filter label=c --format '{{{{.Names}}}} {{{{.Labels}}}}'; docker rm lim", flags=("--name", "--label", "--detach")),
    Case("label file", f"printf 'a=b\\n# no\\n\\nc=d e\\n' >labels; docker create --name lim --label-file labels --label a=z {IMAGE} >/dev/null; docker inspect -f '{{{{json .Config.Labels}}}}' lim; docker rm lim", flags=("--label-file",)),
    Case("a label file that is not there", f"docker create --label-file nosuch {IMAGE}", is_error=True),
    Case("detach prints the id", f"docker run -d --rm {IMAGE} true | wc -c", flags=("--detach", "--rm")),
    Case("rm removes", f"docker run --rm --name lim {IMAGE} true; docker inspect lim", flags=("--rm",)),
    Case("rm with a restart policy", f"docker run --rm --restart always {IMAGE} true", is_error=True),
    Case("rm with detach removes too", f"docker run -d --rm --name lim {IMAGE} sleep 0.2 >/dev/null; docker wait lim; sleep 0.4; docker ps -aq --filter name=lim"),
    Case("restart on-failure counts", f"docker run -d --name lim --restart on-failure:2 {IMAGE} sh -c 'exit 7' >/dev/null; until docker inspect -f '{{{{.State.Status}}}}{{{{.RestartCount}}}}' lim | grep -q exited2; do sleep 0.1; done; docker inspect -f '{{{{.RestartCount}}}} {{{{.State.ExitCode}}}} {{{{.State.Restarting}}}} {{{{json .HostConfig.RestartPolicy}}}}' lim; docker rm lim", flags=("--restart",)),
    Case("on-failure leaves a success alone", f"docker run -d --name lim --restart on-failure {IMAGE} true >/dev/null; docker wait lim; sleep 0.3; docker inspect -f '{{{{.RestartCount}}}} {{{{.State.Status}}}}' lim; docker rm lim"),
    Case("restart always", f"docker run -d --name lim --restart always {IMAGE} true >/dev/null; until [ $(docker inspect -f '{{{{.RestartCount}}}}' lim) -ge 2 ]; do sleep 0.1; done; docker stop -t 0 lim; docker inspect -f '{{{{.State.Status}}}}' lim; docker rm -f lim"),
    Case("restart unless-stopped", f"docker run -d --name lim --restart unless-stopped {IMAGE} false >/dev/null; until [ $(docker inspect -f '{{{{.RestartCount}}}}' lim) -ge 1 ]; do sleep 0.1; done; docker inspect -f '{{{{.HostConfig.RestartPolicy.Name}}}}' lim; docker rm -f lim"),
    Case("restart of an unknown policy", f"docker run --restart sometimes {IMAGE}", is_error=True),
    Case("retries for always", f"docker run --restart always:3 {IMAGE}", is_error=True),
    Case("negative retries", f"docker run --restart on-failure:-3 {IMAGE}", is_error=True),
    Case("stop timeout", f"docker run -d --name lim --stop-timeout 1 {IMAGE} sh -c 'trap : TERM; while :; do sleep 0.1; done' >/dev/null; sleep 0.3; a=$(date +%s%N); docker stop lim; echo $((($(date +%s%N) - a) / 1000000000)) $(docker inspect -f '{{{{.Config.StopTimeout}}}} {{{{.State.ExitCode}}}}' lim); docker rm lim", flags=("--stop-timeout",)),
    Case("pull never", "docker run --rm --pull never nosuch:image", is_error=True, flags=("--pull",)),
    Case("pull missing of one that is there", f"docker run --rm --pull missing --quiet {IMAGE} echo here", flags=("--pull", "--quiet")),
    Case("pull sometimes", f"docker run --pull sometimes {IMAGE}", is_error=True),
    Case("cidfile", f"docker run --cidfile id --rm {IMAGE} true; wc -c <id; docker run --cidfile id --rm {IMAGE} true", is_error=True, flags=("--cidfile",)),
    Case("annotation", f"docker create --name lim --annotation a=b --annotation c.d/e=f {IMAGE} >/dev/null; docker inspect -f '{{{{json .HostConfig.Annotations}}}}' lim; docker rm lim", flags=("--annotation",)),
    Case("platform", f"docker run --rm --platform linux/amd64 {IMAGE} uname -m; docker run --rm --platform linux/arm64 {IMAGE} true", is_error=True, flags=("--platform",)),
    Case("use-api-socket", f"docker run --help | grep -c use-api-socket; docker create --name lim --use-api-socket {IMAGE} >/dev/null; docker inspect -f '{{{{json .Mounts}}}}' lim | grep -o docker.sock | sort -u; docker rm lim", is_loose=True, flags=("--use-api-socket",)),
]  # fmt: skip
STREAMS = [
    Case("attach stdout only", f"docker run --rm -a stdout {IMAGE} sh -c 'echo out; echo err >&2'", flags=("--attach",)),
    Case("attach stderr only", f"docker run --rm --attach stderr {IMAGE} sh -c 'echo out; echo err >&2'"),
    Case("attach stdin only", f"echo typed | docker run -i -a stdin --name lim {IMAGE} sh -c 'cat >&2' >/dev/null; docker wait lim; docker logs lim; docker rm lim", flags=("--attach", "--interactive")),
    Case("attach to a wrong stream", f"docker run --attach nosuch {IMAGE}", is_error=True),
    Case("attach and detach conflict", f"docker run -d -a stdout {IMAGE}", is_error=True),
    Case("interactive", f"echo typed | docker run --rm --interactive {IMAGE} cat", flags=("--interactive",)),
    Case("without interactive there is no input", f"echo typed | docker run --rm {IMAGE} sh -c 'cat; readlink /proc/self/fd/0'"),
    Case("tty", f"docker run --rm --tty {IMAGE} sh -c 'tty; test -t 1 && echo yes'", flags=("--tty",)),
    Case("sig-proxy", f"docker run --rm --name lim --sig-proxy=true {IMAGE} sh -c 'trap \"echo got; exit 42\" TERM; while :; do sleep 0.1; done' & pid=$!; until docker exec lim true 2>/dev/null; do sleep 0.1; done; sleep 0.2; kill -TERM $pid; wait $pid; echo $?", flags=("--sig-proxy",)),
    Case("no sig-proxy", f"docker run --rm --name lim --sig-proxy=false {IMAGE} sh -c 'sleep 1; exit 3' & pid=$!; until docker exec lim true 2>/dev/null; do sleep 0.1; done; kill -TERM $pid; wait $pid; docker wait lim"),
    Case("detach keys", f"docker run -d -it --name lim --detach-keys=a {IMAGE} cat >/dev/null; docker inspect -f '{{{{.State.Running}}}}' lim; docker rm -f lim; docker run --rm -t --name lim --detach-keys=ctrl-nope {IMAGE} true; C=$?; docker rm lim; exit $C", is_error=True, flags=("--detach-keys",)),
]  # fmt: skip
MEMORY = [
    inside("memory", "--memory 64m", group_file("memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes")),
    inside("memory with swap", "--memory 64m --memory-swap 96m", group_file("memory/memory.memsw.limit_in_bytes")),
    inside("unlimited swap", "--memory 64m --memory-swap -1", group_file("memory/memory.memsw.limit_in_bytes")),
    inside("reservation", "--memory 64m --memory-reservation 32m", group_file("memory/memory.soft_limit_in_bytes")),
    inside("swappiness", "--memory-swappiness 7", group_file("memory/memory.swappiness")),
    inside(
        "oom-kill-disable", "--memory 64m --oom-kill-disable", f"grep oom_kill_disable {GROUPS}/memory/memory.oom_control"
    ),
    inside("oom-kill-disable without a limit", "--oom-kill-disable", "true"),
    inside("oom-score-adj", "--oom-score-adj 321", "cat /proc/self/oom_score_adj"),
    Case("killed for memory", f"docker run --name lim --memory 10m --memory-swap 10m {IMAGE} sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\0\" a)'; echo $?; docker inspect -f '{{{{.State.OOMKilled}}}} {{{{.State.ExitCode}}}}' lim; docker rm lim"),
    Case("a child killed for memory", f"docker run --name lim --memory 10m --memory-swap 10m {IMAGE} sh -c '(x=$(head -c 60000000 /dev/zero | tr \"\\0\" a)); echo $?; true'; docker inspect -f '{{{{.State.OOMKilled}}}} {{{{.State.ExitCode}}}}' lim; docker rm lim"),
    *[
        inside(f"refused: {flags}", flags, "true", is_error=True)
        for flags in (
            "--memory 5m", "--memory x", "--memory 64m --memory-swap 32m", "--memory-swap 64m", "--memory-swappiness 101",
            "--memory-swappiness -2", "--memory-reservation 1m", "--memory 64m --memory-reservation 128m", "--oom-score-adj 1001",
            "--oom-score-adj -1001",
        )
    ],
    inspected("kernel memory", "--kernel-memory 64m", "{{.HostConfig.KernelMemory}}", is_loose=True),
]  # fmt: skip
CPU = [
    inside("cpus", "--cpus 0.5", group_file("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")),
    inside("cpu-shares", "--cpu-shares 512", group_file("cpu/cpu.shares")),
    inside("cpu-period and quota", "--cpu-period 50000 --cpu-quota 25000", group_file("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")),
    inside("quota alone", "--cpu-quota 30000", group_file("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")),
    inside("cpuset-cpus", "--cpuset-cpus 1", f"sh -c 'cat {GROUPS}/cpuset/cpuset.cpus; grep Cpus_allowed_list /proc/self/status'"),
    inside("cpuset-mems", "--cpuset-mems 0", f"sh -c 'cat {GROUPS}/cpuset/cpuset.mems; grep Mems_allowed_list /proc/self/status'"),
    inspected("cpu-count is Windows'", "--cpu-count 1", "{{.HostConfig.CpuCount}}"),
    inspected("cpu-percent is Windows'", "--cpu-percent 5", "{{.HostConfig.CpuPercent}}"),
    *[
        inside(f"refused: {flags}", flags, "true", is_error=True)
        for flags in (
            "--cpus 99", "--cpus x", "--cpus -1", "--cpus 1 --cpu-quota 1000", "--cpus 1 --cpu-period 2000", "--cpu-period 1",
            "--cpu-period 2000000", "--cpu-quota 1", "--cpuset-cpus 99", "--cpuset-cpus x", "--cpuset-mems 7", "--cpu-shares -1",
            "--cpu-rt-period 1000000 --cpu-rt-runtime 2000000",
        )
    ],
    inside("cpu-rt without a daemon's own", "--cpu-rt-period 1000000 --cpu-rt-runtime 1000", "true", is_loose=True),
]  # fmt: skip
BLOCK_IO = [
    *[
        inside(flag, f"{flag} /dev/vda:{rate}", group_file(f"blkio/blkio.throttle.{name}_device"))
        for flag, name, rate in (
            ("--device-read-bps", "read_bps", "1mb"), ("--device-write-bps", "write_bps", "2mb"),
            ("--device-read-iops", "read_iops", "30"), ("--device-write-iops", "write_iops", "40"),
        )
    ],
    inside("blkio-weight", "--blkio-weight 300", "true", is_loose=True),
    inside("blkio-weight-device", "--blkio-weight-device /dev/vda:200", "true"),
    *[
        inside(f"refused: {flags}", flags, "true", is_error=True)
        for flags in (
            "--blkio-weight-device /dev/vda:5", "--device-read-bps /dev/vda",
            "--device-read-bps nodev:1mb", "--device-read-iops /dev/vda:x", "--device-write-bps /nosuch:1mb",
        )
    ],
    inside("pids-limit", "--pids-limit 30", group_file("pids/pids.max")),
    inside("pids-limit acts", "--pids-limit 5", "sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait' 2>&1 | grep -c fork"),
    inside("no pids-limit", "--pids-limit -1", group_file("pids/pids.max")),
    inspected("io-maxbandwidth is Windows'", "--io-maxbandwidth 1m", "{{.HostConfig.IOMaximumBandwidth}}"),
    inspected("io-maxiops is Windows'", "--io-maxiops 3", "{{.HostConfig.IOMaximumIOps}}"),
    inspected("isolation", "--isolation default", "{{.HostConfig.Isolation}}"),
    inside("refused isolation", "--isolation hyperv", "true", is_error=True),
]  # fmt: skip
_HEALTH = "until docker inspect -f '{{{{.State.Health.Status}}}}' lim | grep -q {}; do sleep 0.05; done; "
HEALTH = [
    Case("healthy", f"docker run -d --name lim --health-cmd 'echo fine' --health-interval 100ms --health-timeout 2s --health-retries 2 {IMAGE} sleep 100 >/dev/null; " + _HEALTH.format("healthy") + "docker ps --filter name=lim --format '{{.Status}}' | sed 's/Up [^(]*//'; docker inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}} {{.State.Health.FailingStreak}} {{json .Config.Healthcheck}}' lim; docker ps -q --filter health=healthy --filter name=lim | wc -l; docker rm -f lim", flags=("--health-cmd", "--health-interval", "--health-timeout", "--health-retries")),
    Case("unhealthy after the retries", f"docker run -d --name lim --health-cmd 'exit 3' --health-interval 100ms --health-retries 2 {IMAGE} sleep 100 >/dev/null; " + _HEALTH.format("unhealthy") + "docker ps --filter name=lim --format '{{.Status}}' | sed 's/Up [^(]*//'; docker inspect -f '{{(index .State.Health.Log 0).ExitCode}}' lim; docker rm -f lim", flags=("--health-retries",)),
    Case("a probe that takes too long", f"docker run -d --name lim --health-cmd 'sleep 5' --health-interval 100ms --health-timeout 200ms --health-retries 1 {IMAGE} sleep 100 >/dev/null; " + _HEALTH.format("unhealthy") + "docker inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' lim; docker rm -f lim", flags=("--health-timeout",)),
    Case("start period and start interval", f"docker run -d --name lim --health-cmd 'test -e /ready' --health-interval 60s --health-start-period 30s --health-start-interval 100ms --health-retries 1 {IMAGE} sleep 100 >/dev/null; sleep 0.5; docker inspect -f '{{{{.State.Health.Status}}}} {{{{.State.Health.FailingStreak}}}}' lim; docker exec lim touch /ready; " + _HEALTH.format("healthy") + "docker inspect -f '{{json .Config.Healthcheck}}' lim; docker rm -f lim", flags=("--health-start-period", "--health-start-interval")),
    Case("no healthcheck", f"docker run -d --name lim --no-healthcheck {IMAGE} sleep 100 >/dev/null; docker inspect -f '{{{{json .Config.Healthcheck}}}} {{{{json .State.Health}}}}' lim; docker rm -f lim", flags=("--no-healthcheck",)),
    Case("no healthcheck and a command", f"docker run --no-healthcheck --health-cmd true {IMAGE}", is_error=True),
    *[Case(f"refused: {flags}", f"docker run --rm --health-cmd true {flags} {IMAGE} true", is_error=True) for flags in ("--health-interval 1us", "--health-timeout -1s", "--health-retries -1", "--health-start-period 1ns", "--health-start-interval 5us", "--health-interval x")],
]  # fmt: skip
LOGS = [
    Case("json-file with options", f"docker run --name lim --log-driver json-file --log-opt max-size=1k --log-opt max-file=2 --log-opt labels=a --log-opt env=E -l a=b -e E=f {IMAGE} sh -c 'for i in $(seq 100); do echo line $i; done' >/dev/null; docker logs --tail 3 --details lim; docker inspect -f '{{{{json .HostConfig.LogConfig}}}}' lim; ls $(dirname $(docker inspect -f '{{{{.LogPath}}}}' lim)) | grep -c json.log; docker rm lim", flags=("--log-driver", "--log-opt")),
    Case("no log", f"docker run --name lim --log-driver none {IMAGE} echo x; docker logs lim; docker rm lim", is_error=True, flags=("--log-driver",)),
    *[Case(f"refused: {flags}", f"docker run --rm {flags} {IMAGE} true", is_error=True) for flags in ("--log-driver nosuch", "--log-opt nosuch=1", "--log-opt max-size=x", "--log-opt max-file=0", "--log-opt max-file=2 --log-opt max-size=-1", "--log-opt x", "--log-driver none --log-opt max-size=1k")],
]  # fmt: skip


def updated(name: str, flags: str, *files: str, first: str = "", **more: object) -> Case:
    """A running container whose limits change; the kernel's files and inspect show it."""
    shown = tuple(word.partition("=")[0] for word in flags.split() if word.startswith("--"))
    script = (
        f"docker run -d --name lim --network none {first} {IMAGE} sleep 100 >/dev/null; docker update {flags} lim; "
    )
    script += f"docker exec lim {group_file(*files)}; " if files else ""
    script += f"docker inspect -f '{{{{json .HostConfig}}}}' lim | tr , '\\n' | grep -E '{_LIMITS}'; docker rm -f lim >/dev/null"
    return Case(name, script, flags=shown, **more)  # type: ignore[arg-type]


_LIMITS = "Memory|Cpu|Cpus|Blkio|Pids|Restart|Retry"
_MEMORY_FILES = ("memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes")
_CPU_FILES = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
UPDATES = [
    updated("update memory", "--memory 80m --memory-swap 100m", *_MEMORY_FILES),
    updated("update memory down and up", "--memory 40m --memory-swap 50m", *_MEMORY_FILES, first="--memory 60m"),
    updated("update swap alone", "--memory-swap 90m", *_MEMORY_FILES, first="--memory 60m"),
    updated("update memory above its swap", "--memory 300m", first="--memory 60m", is_error=True),
    updated("update memory below the reservation", "--memory 20m", first="--memory-reservation 30m", is_error=True),
    updated("update reservation", "--memory-reservation 30m", "memory/memory.soft_limit_in_bytes", first="--memory 60m"),
    updated("update cpus", "--cpus 0.3", *_CPU_FILES),
    updated("update cpus again", "--cpus 1.5", *_CPU_FILES, first="--cpus 0.5"),
    updated("update cpus where a quota is", "--cpus 1", first="--cpu-quota 30000", is_error=True),
    updated("update quota where cpus are", "--cpu-quota 30000", first="--cpus 1", is_error=True),
    updated("update quota and period", "--cpu-quota 20000 --cpu-period 40000", *_CPU_FILES),
    updated("update shares", "--cpu-shares 100", "cpu/cpu.shares"),
    updated("update cpuset", "--cpuset-cpus 0 --cpuset-mems 0", "cpuset/cpuset.cpus", "cpuset/cpuset.mems"),
    updated("update pids", "--pids-limit 20", "pids/pids.max"),
    updated("update pids to none", "--pids-limit -1", "pids/pids.max", first="--pids-limit 10"),
    updated("update restart", "--restart on-failure:4"),
    updated("update restart of an --rm", "--restart always", first="--rm", is_error=True),
    updated("update blkio-weight", "--blkio-weight 400", is_loose=True),
    updated("update rt", "--cpu-rt-period 1000000 --cpu-rt-runtime 1000", is_loose=True),
    *[
        updated(f"refused: update {flags}", flags, is_error=True)
        for flags in (
            "--memory 1m", "--cpus 99", "--cpu-period 1", "--cpu-quota 1", "--cpuset-cpus 99", "--restart nope", "--memory x",
            "--memory 64m --memory-swap 32m", "--restart always:2",
        )
    ],
    Case("update without a flag", f"docker create --name lim {IMAGE} >/dev/null; docker update lim; docker rm lim", is_error=True),
    Case("update nothing that exists", "docker update --cpus 1 nosuch", is_error=True),
    Case("update one that is stopped", f"docker create --name lim {IMAGE} cat {GROUPS}/pids/pids.max >/dev/null; docker update --pids-limit 33 lim; docker start -a lim; docker rm lim"),
    Case("update restart of a restarting one", f"docker run -d --name lim --restart always {IMAGE} false >/dev/null; until docker update --restart no lim 2>/dev/null; do sleep 0.05; done; until docker inspect -f '{{{{.State.Status}}}}' lim | grep -q exited; do sleep 0.05; done; docker rm lim"),
]  # fmt: skip
CASES = [*IDENTITY, *STREAMS, *MEMORY, *CPU, *BLOCK_IO, *HEALTH, *LOGS, *UPDATES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_run(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


def test_a_disks_weight_acts_where_the_kernel_has_bfq(holdfastd: Daemon) -> None:
    """dockerd 28.5 looks for CFQ's file and discards the weight, whatever it is."""
    script = f"docker run --rm --blkio-weight 300 {IMAGE} cat {GROUPS}/blkio/blkio.bfq.weight"
    assert holdfastd.sh(script).stdout == "300\n"
    for weight in (5, 1001):
        assert "from 10 to 1000" in holdfastd.sh(f"docker run --rm --blkio-weight {weight} {IMAGE} true").stderr
