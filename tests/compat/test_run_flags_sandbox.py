# SPDX-License-Identifier: Apache-2.0
"""The flags of `docker run` that make the sandbox, on both daemons, each seen from inside the container or in the kernel.

Identity, process, namespaces, security, devices and files; limits and the rest of a container's life are in
test_run_flags_limits.py.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare

IMAGE = "busybox:1.37.0-musl"
SLEEP = f"{IMAGE} sleep 1000"
FATAL = Difference(r"\[FATAL tini \(\d+\)\]", "[FATAL docker-init]", "the init is Holdfast's own")


def inspected(name: str, *members: str) -> str:
    """A line of JSON members of a container."""
    return f"docker inspect -f '{' '.join(f'{{{{json .{member}}}}}' for member in members)}' {name}"


IDENTITY = [
    Case(
        "hostname and domainname",
        f"docker run --rm --hostname box --domainname example.org {IMAGE} sh -c 'hostname; cat /proc/sys/kernel/domainname; cat /etc/hostname; hostname -f; echo $HOSTNAME'",
        flags=("hostname", "domainname"),
    ),
    Case("hostname too long", f"docker run --rm --hostname {'h' * 65} {IMAGE} true", is_error=True),
    Case(
        "init is pid 1 and reaps",
        f'docker run --rm --init {IMAGE} sh -c \'tr "\\0" " " < /proc/1/cmdline | cut -c1-24; cat /proc/1/comm; for i in 1 2 3; do (sleep 0.01 &) ; done; sleep 0.2; grep -l "^State:.Z" /proc/[0-9]*/status | wc -l\'',
        flags=("init",),
    ),
    Case(
        "without init zombies stay",
        f"docker run --rm {IMAGE} sh -c '(sleep 0.01 &) ; exec sleep 0.3' & docker run --rm {IMAGE} sh -c 'sh -c \"sleep 0.05 & exec sleep 0.3\" & sleep 0.2; grep -l \"^State:.Z\" /proc/[0-9]*/status | wc -l'; wait",
    ),
    Case(
        "init passes signals on and ends as its command",
        f"docker run -d --init --name in1 {IMAGE} sh -c 'trap \"exit 9\" TERM; while :; do sleep 0.05; done' >/dev/null; sleep 0.4; docker stop in1; docker inspect -f '{{{{.State.ExitCode}}}} {{{{.Path}}}} {{{{.HostConfig.Init}}}}' in1; docker rm in1; docker run --rm --init {IMAGE} sh -c 'kill -9 $$'; echo $?; docker run --rm --init {IMAGE} sh -c 'exit 7'; echo $?",
    ),
    Case(
        "init and a command that is not there",
        f"docker run --rm --init {IMAGE} nosuch; echo $?; docker run --rm --init {IMAGE} /etc; echo $?",
        differs=(FATAL,),
    ),
    Case(
        "init has no say in another's processes",
        f"docker run --rm --init --pid host {IMAGE} sh -c 'ls /sbin/docker-init'",
        is_error=True,
    ),
    Case(
        "init with a terminal",
        f'script -qec \'docker run --rm -t --init {IMAGE} sh -c "tty; cut -d\\" \\" -f5,8 /proc/self/stat | tr -s 0-9 N"\' /dev/null',
    ),
    Case(
        "stop signal",
        f"docker run -d --name ss3 --stop-signal SIGUSR1 {IMAGE} sh -c 'trap \"echo got; exit 3\" USR1; while :; do sleep 0.05; done' >/dev/null; sleep 0.4; docker stop ss3; docker logs ss3; {inspected('ss3', 'State.ExitCode', 'Config.StopSignal')}; docker rm ss3; docker run --rm --stop-signal NOPE {IMAGE} true; echo $?",
        flags=("stop-signal",),
    ),
    Case(
        "runtime",
        f"docker run --rm --runtime runc {IMAGE} echo by runc; docker run --rm --runtime nosuch {IMAGE} true",
        flags=("runtime",),
    ),
    Case(
        "platform",
        f"docker run --rm --platform linux/amd64 {IMAGE} uname -m; docker run --rm --pull never --platform linux/s390x {IMAGE} true; echo $?",
        flags=("platform",),
    ),
    Case(
        "annotations",
        f"docker run -d --name an1 --annotation a.b=c --annotation empty= {SLEEP} >/dev/null; {inspected('an1', 'HostConfig.Annotations')}; docker rm -f an1; docker run --rm --annotation =x {IMAGE} true; echo $?",
        flags=("annotation",),
    ),
    Case(
        "cidfile",
        f"docker run -d --cidfile cid {SLEEP} > out; diff cid out <(cat cid; echo) > /dev/null; test $(cat cid) = $(cat out) && echo same; docker rm -f $(cat cid) | wc -c",
        flags=("cidfile",),
    ),
    Case(
        "the file that says docker",
        f"docker run --rm {IMAGE} sh -c 'stat -c \"%F %a %u %s\" /.dockerenv'; docker run -d --name de1 {SLEEP} >/dev/null; docker diff de1; docker rm -f de1",
    ),
]
PROCESS = [
    Case(
        "users",
        f"for u in 1000 1000:2000 root:daemon nobody 0; do docker run --rm --user $u {IMAGE} sh -c 'id -u; id -g; grep -E \"^(Groups|Cap)\" /proc/self/status'; done; for u in nosuch 1000:nosuch 4294967296 -1 :1 1: '1 2'; do docker run --rm --user \"$u\" {IMAGE} id -u; echo $?; done",
        is_error=True,
        flags=("user",),
    ),
    Case(
        "group-add",
        f"docker run --rm --group-add 77 --group-add audio --user 1000 {IMAGE} grep ^Groups /proc/self/status; docker run --rm --group-add nosuch {IMAGE} true; echo $?",
        flags=("group-add",),
    ),
    Case(
        "workdir",
        f"docker run --rm -w /made/deep {IMAGE} sh -c 'pwd; stat -c %a:%u /made'; docker run --rm -w relative {IMAGE} pwd; docker run --rm -w /etc/passwd {IMAGE} pwd; echo $?",
        is_error=True,
        flags=("workdir",),
    ),
    Case(
        "env",
        f"export HERE=there; docker run --rm -e A=1 -e A=2 -e B= -e HERE -e NOTHERE -e PATH=/bin {IMAGE} env | sed s/HOSTNAME=.*/HOSTNAME/ | sort; docker run --rm -e =x {IMAGE} true; echo $?",
        is_error=True,
        flags=("env",),
    ),
    Case(
        "env-file",
        f"printf 'X=1\\n#c\\nY= two \\nHERE\\nZ=a=b\\n' > f; HERE=h docker run --rm --env-file f -e X=3 {IMAGE} env | grep -E '^(X|Y|Z|HERE)=' | sort",
        flags=("env-file",),
    ),
    Case(
        "entrypoint",
        f"docker run --rm --entrypoint /bin/echo {IMAGE} a b; docker run --rm --entrypoint '' {IMAGE} echo c; docker run --rm --entrypoint nosuch {IMAGE}; echo $?",
        is_error=True,
        flags=("entrypoint",),
    ),
    Case(
        "ulimit",
        f"docker run --rm --ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=64 {IMAGE} sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c; grep processes /proc/self/limits | tr -s \" \"'; docker run --rm --ulimit nofile=9:5 {IMAGE} true; echo $?; docker run --rm --ulimit nope=1 {IMAGE} true; echo $?",
        is_error=True,
        flags=("ulimit",),
    ),
    Case(
        "sysctl",
        f"docker run --rm --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9000 --sysctl fs.mqueue.msg_max=20 --sysctl net.ipv4.ping_group_range='1 2' {IMAGE} sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start'",
        flags=("sysctl",),
    ),
    Case(
        "sysctls of the host",
        f"for s in kernel.core_pattern=x vm.swappiness=1 net.ipv4.ip_forward=1+x nosuch=1 kernel.hostname=x; do docker run --rm --sysctl $s {IMAGE} true; echo $?; done; docker run --rm --network host --sysctl net.ipv4.ip_forward=1 {IMAGE} true; echo $?; docker run --rm --ipc host --sysctl kernel.msgmax=9000 {IMAGE} true; echo $?",
        is_error=True,
    ),
    Case(
        "shm-size",
        f"docker run --rm --shm-size 1m {IMAGE} sh -c 'df -k /dev/shm | tail -1 | awk \"{{print \\$2}}\"'; docker run --rm {IMAGE} sh -c 'df -k /dev/shm | tail -1 | awk \"{{print \\$2}}\"'; docker run --rm --shm-size -1 {IMAGE} true; echo $?",
        is_error=True,
        flags=("shm-size",),
    ),
]
NAMESPACES = [
    Case(
        "pid host",
        f"docker run --rm --pid host {IMAGE} readlink /proc/self/ns/pid | diff - <(readlink /proc/self/ns/pid) && echo same; docker run --rm --pid host {IMAGE} sh -c 'test $$ -gt 2 && echo many'",
        flags=("pid",),
    ),
    Case(
        "pid of a container",
        f"docker run -d --name pd1 {SLEEP} >/dev/null; docker run --rm --pid container:pd1 {IMAGE} cat /proc/1/cmdline | tr '\\0' ' '; echo; docker run --rm --pid container:nosuch {IMAGE} true; echo $?; docker stop -t 0 pd1 >/dev/null; docker run --rm --pid container:pd1 {IMAGE} true; echo $?; docker rm pd1",
        is_error=True,
    ),
    Case(
        "a pid mode of nonsense",
        f"docker run --rm --pid nope {IMAGE} true; echo $?; docker run --rm --pid container: {IMAGE} true; echo $?; docker run --rm --uts nope {IMAGE} true; echo $?; docker run --rm --ipc nope {IMAGE} true; echo $?; docker run --rm --userns nope {IMAGE} true; echo $?; docker run --rm --cgroupns nope {IMAGE} true; echo $?",
        is_error=True,
    ),
    Case(
        "ipc host",
        f"docker run --rm --ipc host {IMAGE} sh -c 'readlink /proc/self/ns/ipc; grep -c \" /dev/shm \" /proc/self/mountinfo' | diff - <(readlink /proc/self/ns/ipc; echo 1) && echo same",
        flags=("ipc",),
    ),
    Case(
        "ipc private and none",
        f'docker run --rm --ipc private {IMAGE} sh -c \'grep " /dev/shm " /proc/self/mountinfo | cut -d" " -f5,6\'; docker run --rm --ipc none {IMAGE} sh -c \'grep -c " /dev/shm " /proc/self/mountinfo; ls -ld /dev/shm; touch /dev/shm/x\'; docker run --rm --ipc none {IMAGE} readlink /proc/self/ns/ipc | diff -q - <(readlink /proc/self/ns/ipc) | cut -c1-5',
        is_error=True,
    ),
    Case(
        "ipc shareable is shared",
        f"docker run -d --name sh1 --ipc shareable --shm-size 2m {IMAGE} sh -c 'echo from the donor > /dev/shm/f; sleep 1000' >/dev/null; sleep 0.3; docker run --rm --ipc container:sh1 {IMAGE} sh -c 'cat /dev/shm/f; echo back > /dev/shm/g; df -k /dev/shm | tail -1 | awk \"{{print \\$2}}\"'; docker exec sh1 cat /dev/shm/g; docker run -d --name sh2 --ipc container:sh1 {SLEEP} >/dev/null; docker run --rm --ipc container:sh2 {IMAGE} cat /dev/shm/g; docker exec sh1 sh -c 'grep \" /dev/shm \" /proc/self/mountinfo | cut -d\" \" -f5,6'; docker rm -f sh1 sh2; grep -c $PWD /proc/self/mountinfo",
    ),
    Case(
        "ipc that is not shareable",
        f"docker run -d --name ns1 --ipc private {SLEEP} >/dev/null; docker run --rm --ipc container:ns1 {IMAGE} true; echo $?; docker run --rm --ipc container:nosuch {IMAGE} true; echo $?; docker stop -t 0 ns1 >/dev/null; docker run --rm --ipc container:ns1 {IMAGE} true; echo $?; docker rm ns1; docker run -d --name ns2 --ipc none {SLEEP} >/dev/null; docker run --rm --ipc container:ns2 {IMAGE} true; echo $?; docker rm -f ns2; docker run -d --name ns3 --ipc host {SLEEP} >/dev/null; docker run --rm --ipc container:ns3 {IMAGE} echo joined the host; docker rm -f ns3",
    ),
    Case(
        "uts host",
        f"docker run --rm --uts host {IMAGE} readlink /proc/self/ns/uts | diff - <(readlink /proc/self/ns/uts) && echo same; docker run --rm --uts host --hostname x {IMAGE} true; echo $?; docker run --rm --uts host --domainname x {IMAGE} true; echo $?; docker run --name uh1 --uts host {IMAGE} sh -c 'hostname; echo $HOSTNAME; cut -c1-7 /etc/hostname; tail -n 1 /etc/hosts' | sed \"s/$(hostname)/HOST/; s/172[.0-9]*/IP/; s/[0-9a-f]\\{{7,12\\}}$/ID/\"; test \"$(docker inspect -f '{{{{.Config.Hostname}}}}' uh1)\" = \"$(docker inspect -f '{{{{.Id}}}}' uh1 | cut -c1-12)\" && echo own; docker rm uh1",
        flags=("uts",),
    ),
    Case(
        "userns host",
        f"docker run --rm --userns host {IMAGE} cat /proc/self/uid_map | tr -s ' '; docker run -d --name un1 --userns host {SLEEP} >/dev/null; {inspected('un1', 'HostConfig.UsernsMode')}; docker rm -f un1",
        flags=("userns",),
    ),
    Case(
        "cgroupns",
        f"docker run --rm --cgroupns host {IMAGE} readlink /proc/self/ns/cgroup | diff - <(readlink /proc/self/ns/cgroup) && echo host; docker run --rm --cgroupns private {IMAGE} readlink /proc/self/ns/cgroup | diff -q - <(readlink /proc/self/ns/cgroup) | cut -c1-5; docker run --rm --cgroupns private {IMAGE} sh -c 'cut -d: -f3 /proc/self/cgroup | sort -u; ls /sys/fs/cgroup | grep -c memory'",
        flags=("cgroupns",),
    ),
    Case(
        "cgroup-parent",
        f"docker run -d --name cp1 --cgroup-parent /hf-parent {SLEEP} >/dev/null; P=$(docker inspect -f '{{{{.State.Pid}}}}' cp1); grep -o '/hf-parent/[0-9a-f]*' /proc/$P/cgroup | sort -u; docker rm -f cp1",
        flags=("cgroup-parent",),
    ),
]
OOM = [
    Case(
        "want of memory kills a child and the container goes on",
        f"docker run -d --name oo1 -m 16m --memory-swap 16m {IMAGE} sh -c 'sh -c \"x=aaaaaaaaaaaaaaaa; while :; do x=\\$x\\$x; done\" ; echo child $?; until [ -e /go ]; do sleep 0.05; done; exit 5' >/dev/null 2>&1; until docker logs oo1 2>/dev/null | grep -q child; do sleep 0.1; done; for i in $(seq 100); do docker inspect -f '{{{{.State.OOMKilled}}}}' oo1 | grep -q true && break; sleep 0.1; done; docker inspect -f '{{{{.State.Status}}}} {{{{.State.OOMKilled}}}}' oo1; docker exec oo1 touch /go; docker wait oo1; docker inspect -f '{{{{.State.ExitCode}}}} {{{{.State.OOMKilled}}}}' oo1; docker logs oo1 2>/dev/null; docker start oo1 >/dev/null; docker inspect -f '{{{{.State.OOMKilled}}}}' oo1; sleep 1.1; docker events --since 60s --until 0s --filter container=oo1 --filter event=oom --format '{{{{.Action}}}}' | sort -u; docker rm -f oo1",
    ),
    Case(
        "want of memory kills the container",
        f"docker run --name oo2 -m 16m --memory-swap 16m {IMAGE} sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done' 2>/dev/null; echo $?; docker inspect -f '{{{{.State.ExitCode}}}} {{{{.State.OOMKilled}}}}' oo2; docker rm oo2",
    ),
]
SECCOMP = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":38},{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_SYS_ADMIN"]}}]}'
SECURITY = [
    Case(
        "privileged",
        f'docker run --rm --privileged {IMAGE} sh -c \'grep -E "^(CapEff|CapBnd|Seccomp:|NoNewPrivs)" /proc/self/status; ls /dev | grep -c loop-control; mount -t tmpfs x /tmp && echo mounted; grep -c " /sys/fs/cgroup/[a-z]* rw," /proc/self/mountinfo; grep -c "ro,.* - sysfs" /proc/self/mountinfo; ls /sys/firmware >/dev/null && echo firmware; echo 1 > /proc/sys/kernel/ns_last_pid && echo written\' 2>/dev/null; docker run -d --name pv1 --privileged {SLEEP} >/dev/null 2>&1; docker inspect -f \'{{{{.HostConfig.Privileged}}}} {{{{json .HostConfig.MaskedPaths}}}} {{{{json .HostConfig.ReadonlyPaths}}}} {{{{json .HostConfig.SecurityOpt}}}} {{{{.HostConfig.CgroupnsMode}}}}\' pv1; docker rm -f pv1',
        flags=("privileged",),
    ),
    Case(
        "cap-add and cap-drop",
        f"for o in '--cap-add NET_ADMIN' '--cap-drop ALL' '--cap-drop ALL --cap-add chown' '--cap-add CAP_SYS_PTRACE --cap-drop mknod' '--cap-drop ALL --user 5'; do docker run --rm $o {IMAGE} grep -E ^Cap /proc/self/status; done; docker run --rm --cap-add NOPE {IMAGE} true; echo $?; docker run --rm --cap-drop CAP_NOPE {IMAGE} true; echo $?",
        flags=("cap-add", "cap-drop"),
    ),
    Case(
        "seccomp",
        f"docker run --rm --security-opt seccomp=unconfined {IMAGE} grep ^Seccomp: /proc/self/status; docker run --rm --security-opt seccomp=builtin {IMAGE} grep ^Seccomp: /proc/self/status; echo '{SECCOMP}' > p.json; docker run --rm --security-opt seccomp=p.json {IMAGE} sh -c 'mkdir /x; chmod 700 /tmp && echo changed'; docker run --rm --cap-add SYS_ADMIN --security-opt seccomp=p.json {IMAGE} sh -c 'chmod 700 /tmp'; docker run --rm --security-opt seccomp=missing.json {IMAGE} true; echo $?; echo '{{' > bad.json; docker run --rm --security-opt seccomp=bad.json {IMAGE} true; echo $?; docker run --rm --security-opt seccomp=unconfined {IMAGE} unshare -U true && echo free; docker run --rm {IMAGE} unshare -U true",
        is_error=True,
        flags=("security-opt",),
    ),
    Case(
        "no-new-privileges",
        f"for o in no-new-privileges no-new-privileges:true no-new-privileges=false; do docker run --rm --security-opt $o {IMAGE} grep ^NoNewPrivs /proc/self/status; done; docker run --rm --security-opt no-new-privileges=maybe {IMAGE} true; echo $?",
    ),
    Case(
        "systempaths",
        f"docker run --rm --security-opt systempaths=unconfined {IMAGE} sh -c 'grep -c \" /proc/\" /proc/self/mountinfo; ls /sys/firmware > /dev/null && echo seen'; docker run -d --name sy1 --security-opt systempaths=unconfined {SLEEP} >/dev/null; {inspected('sy1', 'HostConfig.MaskedPaths', 'HostConfig.ReadonlyPaths', 'HostConfig.SecurityOpt')}; docker rm -f sy1; docker run --rm {IMAGE} sh -c 'cat /proc/timer_list | wc -c; echo 1 > /proc/sysrq-trigger'",
        is_error=True,
    ),
    Case(
        "labels and AppArmor where there are none",
        f"docker run --rm --security-opt label=disable --security-opt apparmor=unconfined {IMAGE} echo ran; docker run -d --name ap1 --security-opt apparmor=nosuch-profile --security-opt label=type:t {SLEEP} >/dev/null && echo started; {inspected('ap1', 'AppArmorProfile', 'MountLabel', 'ProcessLabel', 'HostConfig.SecurityOpt')}; docker rm -f ap1",
        is_error=True,
    ),
    Case(
        "security options of nonsense",
        f"docker run --rm --security-opt nope {IMAGE} true; echo $?; docker run --rm --security-opt nope=1 {IMAGE} true; echo $?; docker run --rm --security-opt writable-cgroups=x {IMAGE} true; echo $?",
        is_error=True,
    ),
    Case(
        "writable cgroups",
        f'docker run --rm --cgroupns private --security-opt writable-cgroups=true {IMAGE} sh -c \'grep -E " /sys/fs/cgroup/pids " /proc/self/mountinfo | cut -d" " -f6\'; docker run --rm --cgroupns private {IMAGE} sh -c \'grep -E " /sys/fs/cgroup/pids " /proc/self/mountinfo | cut -d" " -f6\'',
    ),
    Case(
        "read-only",
        f"docker run --rm --read-only {IMAGE} sh -c 'touch /x; touch /dev/shm/y && echo shm; touch /etc/hosts; grep \" / / \" /proc/self/mountinfo | cut -d\" \" -f6'; docker run --rm --read-only --init --tmpfs /run {IMAGE} sh -c 'touch /run/z && echo run'",
        is_error=True,
        flags=("read-only",),
    ),
    Case(
        "oom-score-adj",
        f"docker run --rm --oom-score-adj 321 {IMAGE} cat /proc/self/oom_score_adj; docker run --rm --oom-score-adj 1001 {IMAGE} true; echo $?; docker run --rm {IMAGE} cat /proc/self/oom_score_adj",
        flags=("oom-score-adj",),
    ),
]
CDI = (
    '{"cdiVersion":"0.6.0","kind":"hf.example.com/thing","containerEdits":{"env":["ALL=yes"]},"devices":[{"name":"one",'
    '"containerEdits":{"env":["ONE=1"],"deviceNodes":[{"path":"/dev/thing","hostPath":"/dev/zero","permissions":"r"}],'
    '"mounts":[{"hostPath":"/etc/hostname","containerPath":"/thing/name","options":["ro","bind"]}]}},'
    '{"name":"two","containerEdits":{"env":["TWO=2"]}}]}'
)
DEVICES = [
    Case(
        "device forms",
        f"docker run --rm --device /dev/null:/dev/mine:r --device /dev/zero {IMAGE} sh -c 'stat -c \"%n %t:%T %a\" /dev/mine; echo x > /dev/mine'; docker run --rm --device /dev/null::rw {IMAGE} true; echo $?; docker run --rm --device /dev/loop-control {IMAGE} stat -c '%t:%T' /dev/loop-control; docker run --rm --device /dev/net:/dev/nets {IMAGE} sh -c 'stat -c \"%n %t:%T\" /dev/nets/tun'",
        is_error=True,
        flags=("device",),
    ),
    Case(
        "devices of nonsense",
        f"docker run --rm --device /dev/nosuch {IMAGE} true; echo $?; docker run --rm --device /etc/passwd {IMAGE} true; echo $?; docker run --rm --device /dev/null:/dev/x:rwz {IMAGE} true; echo $?; docker run --rm --device '' {IMAGE} true; echo $?",
        is_error=True,
    ),
    Case(
        "a device through a link",
        f"ln -s /dev/null link; docker run --rm --device $PWD/link:/dev/linked {IMAGE} stat -c '%t:%T' /dev/linked",
    ),
    Case(
        "device-cgroup-rule",
        f"docker run --rm --device-cgroup-rule 'c 10:237 rwm' {IMAGE} sh -c 'mknod /l c 10 237; : < /l && echo opened'; docker run --rm {IMAGE} sh -c 'mknod /l c 10 237; : < /l'; docker run --rm --device-cgroup-rule 'x 1:1 r' {IMAGE} true; echo $?; docker run --rm --device-cgroup-rule 'a *:* rwm' {IMAGE} sh -c 'mknod /l c 10 237; : < /l && echo all'",
        is_error=True,
        flags=("device-cgroup-rule",),
    ),
    Case(
        "gpus without a driver",
        f"docker run --name gp1 --gpus all {IMAGE} true; echo $?; docker inspect -f '{{{{.State.Status}}}} {{{{json .HostConfig.DeviceRequests}}}}' gp1; docker rm gp1; docker run --rm --gpus 2,capabilities=utility {IMAGE} true; echo $?; docker run --rm --gpus driver=nope {IMAGE} true; echo $?",
        flags=("gpus",),
    ),
    Case(
        "CDI devices that nobody has",
        f"docker run --rm --device vendor.com/class=name {IMAGE} true; echo $?",
    ),
]
HOSTILE = [
    Case(
        "hostile values of an image's config",
        f"docker run --name hv0 {IMAGE} true; docker export hv0 > r.tar; docker rm hv0 >/dev/null; docker import -c 'WORKDIR /proc/self/fd/7' r.tar hv:cwd >/dev/null; docker import -c 'WORKDIR /../../../../made' r.tar hv:climb >/dev/null; docker import -c 'VOLUME /../../../etc' r.tar hv:vol >/dev/null; docker import -c 'USER 4294967296' r.tar hv:big >/dev/null; docker import -c 'USER ../../etc/passwd' r.tar hv:path >/dev/null; docker run --rm hv:cwd pwd 2>/dev/null; echo $?; docker run --rm hv:climb pwd; docker run --rm hv:vol sh -c 'grep -c \" /etc \" /proc/self/mountinfo; ls /etc/passwd'; docker run --rm hv:big id -u; echo $?; docker run --rm hv:path id -u; echo $?; docker rmi hv:cwd hv:climb hv:vol hv:big hv:path >/dev/null",
        is_error=True,
    ),
]
CDI_CASES = [
    Case(
        "a CDI device",
        f"mkdir -p /var/run/cdi; trap 'rm -f /var/run/cdi/hf-compat.json' EXIT; echo '{CDI}' > /var/run/cdi/hf-compat.json; sleep 0.3; docker run --rm --device hf.example.com/thing=one {IMAGE} sh -c 'env | grep -E \"^(ONE|ALL)\" | sort; stat -c %t:%T /dev/thing; grep -c \" /thing/name ro\" /proc/self/mountinfo; test -e /thing/name && echo there'; docker run --rm --device hf.example.com/thing=two --device hf.example.com/thing=nine {IMAGE} true; echo $?",
        flags=("device",),
    ),
]
FILES = [
    Case(
        "tmpfs",
        f'docker run --rm --tmpfs /t --tmpfs /u:size=1m,mode=700,uid=5,exec {IMAGE} sh -c \'grep -E " /[tu] " /proc/self/mountinfo | cut -d" " -f5,6,9- | sort; stat -c "%a %u" /u\'; docker run --rm --tmpfs relative {IMAGE} true; echo $?; docker run --rm --tmpfs /t:nope=1 {IMAGE} true; echo $?',
        is_error=True,
        flags=("tmpfs",),
    ),
    Case(
        "storage-opt",
        f"docker run --rm --storage-opt size=1G {IMAGE} true; echo $?; docker run --rm --storage-opt nope=1 {IMAGE} true; echo $?",
        flags=("storage-opt",),
        is_error=True,
    ),
    Case(
        "volumes-from",
        f"docker run --name vo1 -v /data -v vo:/named {IMAGE} sh -c 'echo kept > /data/f'; docker run --rm --volumes-from vo1:ro {IMAGE} sh -c 'cat /data/f; touch /data/g; grep -E \" /(data|named) \" /proc/self/mountinfo | cut -d\" \" -f5,6 | sort'; docker rm -v vo1; docker volume rm vo",
        is_error=True,
        flags=("volumes-from",),
    ),
]
CASES = IDENTITY + PROCESS + NAMESPACES + OOM + SECURITY + DEVICES + CDI_CASES + HOSTILE + FILES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_flag_does_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


def test_the_daemons_defaults_hold_for_containers_that_say_nothing(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]], archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "seccomp.json").write_text(SECCOMP)
    flags = ["--init", "--default-ulimit", "nofile=333:444", "--default-ipc-mode", "shareable", "--no-new-privileges"]
    flags += ["--default-cgroupns-mode", "private", "--seccomp-profile", str(tmp_path / "seccomp.json")]
    script = "exec 2>&1; cat /proc/1/comm; ulimit -Sn; ulimit -Hn; grep ^NoNewPrivs /proc/self/status; mkdir /x; readlink /proc/self/ns/cgroup"
    hook = {"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "cat > vendor.state"]}
    failing = {**hook, "args": ["sh", "-c", "echo no luck >&2; exit 3"]}
    devices = [{"name": each["args"][2][:3], "containerEdits": {"hooks": [each]}} for each in (hook, failing)]
    document = {"cdiVersion": "0.6.0", "kind": "hf.example.com/hooked", "devices": devices}
    (tmp_path / "hooked.json").write_text(json.dumps(document))
    flags += ["--cdi-spec-dir", str(tmp_path)]
    image = "alpine:3.20"
    name = f"hf-defaults-{os.getpid()}"

    with start_holdfastd(name, Path("/var/tmp") / name, *flags) as daemon:
        assert daemon.sh(f"docker load -i {archive}").returncode == 0
        said = daemon.sh(f"docker run --rm {image} sh -c '{script}' 2>&1").stdout
        own = daemon.sh(
            f"docker run --rm --init=false --ulimit nofile=25:26 --security-opt no-new-privileges=false "
            f"--security-opt seccomp=unconfined --cgroupns host {image} sh -c '{script}' 2>&1"
        ).stdout
        shared = daemon.sh(
            f"docker run -d --name donor {image} sh -c 'echo x > /dev/shm/f; sleep 100' && sleep 0.5 && "
            f"docker run --rm --ipc container:donor {image} cat /dev/shm/f"
        ).stdout
        hooked = daemon.sh(f"docker run --rm --device hf.example.com/hooked=cat {image} cat /vendor.state").stdout
        refused = daemon.sh(f"docker run --rm --device hf.example.com/hooked=ech {image} true")
        told = daemon.sh("docker info -f '{{.InitBinary}} {{.SecurityOptions}}'").stdout

    host = os.readlink("/proc/self/ns/cgroup")
    lines = said.splitlines()
    assert lines[:4] == ["docker-init", "333", "444", "NoNewPrivs:\t1"]
    assert "Function not implemented" in lines[4]
    assert lines[5] != host
    assert own.splitlines() == ["sh", "25", "26", "NoNewPrivs:\t0", host]
    assert shared.splitlines()[-1] == "x"
    assert json.loads(hooked)["status"] == "creating"
    assert refused.returncode == 125
    assert "error running createContainer hook #0: exit status 3, stdout: , stderr: no luck" in refused.stderr
    assert "docker-init" in told
    assert "name=no-new-privileges" in told
