# SPDX-License-Identifier: Apache-2.0
"""The unmodified docker CLI says the same against dockerd and against Holdfast.

Each case is a shell script that runs on both; ids, times, sizes and generated names are made alike, the rest must be equal.
Where Holdfast differs on purpose, the case says so and why in `differs`.
"""

from pathlib import Path

import pytest
from compat_case import OWN_RUNTIME, Case, Daemon, Difference, compare

IMAGE = "busybox:1.37.0-musl"

CASES = [
    # --- run: output, exit codes, streams
    Case("run echo", f"docker run --rm {IMAGE} echo hi"),
    Case("run stderr and exit code", f"docker run --rm {IMAGE} sh -c 'echo out; echo err >&2; exit 7'"),
    *[
        Case(f"exit code {code}", f"docker run --rm {IMAGE} sh -c 'exit {code}'")
        for code in (0, 1, 42, 125, 126, 127, 128, 200, 255)
    ],
    Case("killed by a signal", f"docker run --rm {IMAGE} sh -c 'sleep 100 & kill -9 $!; wait $!'"),
    Case("command not found", f"docker run --rm {IMAGE} nosuch"),
    Case("absolute command not found", f"docker run --rm {IMAGE} /no/such"),
    Case(
        "command is a directory",
        f"docker run --rm {IMAGE} /etc",
        differs=(Difference("permission denied", "is a directory: permission denied", "a newer runc's words"),),
    ),
    Case("command is not executable", f"docker run --rm {IMAGE} /etc/passwd"),
    Case("unknown flag", f"docker run --nope {IMAGE}"),
    Case("bad name", f"docker run --name 'a b' {IMAGE}"),
    Case("bad reference", "docker run 'x//y'"),
    Case("bad port", f"docker run -p 99999:80 {IMAGE}"),
    Case("too little memory", f"docker run -m 3m {IMAGE}"),
    Case("no tty for -it", f"docker run -it {IMAGE} true"),
    Case("stdin piped", f"echo piped | docker run -i --rm {IMAGE} cat"),
    Case("stdin half-closed, output later", f"echo x | docker run -i --rm {IMAGE} sh -c 'cat; sleep 0.3; echo after'"),
    Case("5 MB through cat", f"head -c 5000000 /dev/zero | docker run -i --rm {IMAGE} cat | sha256sum"),
    Case("with a tty", f"script -qec 'docker run -t --rm {IMAGE} sh -c \"tty; echo x >&2\"' /dev/null"),
    Case(
        "terminal size",
        f"script -qec 'stty rows 33 cols 101; docker run -it --rm {IMAGE} stty size' /dev/null </dev/tty0 2>&1 || true",
        is_loose=True,
    ),
    # --- run: what the container sees
    Case("environment", f"docker run --rm -e A=1 -e B --hostname h1 {IMAGE} env | sort"),
    Case("hostname", f"docker run --rm --hostname box {IMAGE} sh -c 'hostname; cat /etc/hostname'"),
    Case("user by number", f"docker run --rm -u 1000:5 {IMAGE} id"),
    Case("user by name", f"docker run --rm -u daemon {IMAGE} id"),
    Case("unknown user", f"docker run --rm -u nosuch {IMAGE} id"),
    Case("working directory is made", f"docker run --rm -w /made/here {IMAGE} pwd"),
    Case("entrypoint", f"docker run --rm --entrypoint /bin/echo {IMAGE} -n hi"),
    Case("capabilities", f"docker run --rm {IMAGE} grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status"),
    Case("capabilities of a user", f"docker run --rm -u 1000 {IMAGE} grep -E '^(Cap|Groups)' /proc/self/status"),
    Case(
        "cap-drop ALL, cap-add",
        f"docker run --rm --cap-drop ALL --cap-add NET_BIND_SERVICE {IMAGE} grep ^Cap /proc/self/status",
    ),
    Case("open files", f"docker run --rm {IMAGE} sh -c 'ls /proc/self/fd | wc -l'"),
    Case(
        "mounts",
        f"docker run --rm {IMAGE} sh -c \"cut -d' ' -f5 /proc/self/mountinfo | grep -v -e powercap -e interrupts -e thermal | sort\"",
    ),
    Case(
        "proc is masked",
        f"docker run --rm {IMAGE} sh -c 'cat /proc/kcore | wc -c; ls /proc/acpi /sys/firmware | wc -l; echo x > /proc/sys/kernel/hostname'",
    ),
    Case("devices", f"docker run --rm {IMAGE} sh -c 'ls -l /dev | awk \"{{print \\$1, \\$NF}}\" | sort'"),
    Case("read-only", f"docker run --rm --read-only {IMAGE} touch /x"),
    Case(
        "tmpfs",
        f"docker run --rm --tmpfs /t:size=1m {IMAGE} sh -c 'df -k /t | tail -1 | awk \"{{print \\$1, \\$2, \\$6}}\"'",
    ),
    Case(
        "shm size", f"docker run --rm --shm-size 8m {IMAGE} sh -c 'df -k /dev/shm | tail -1 | awk \"{{print \\$2}}\"'"
    ),
    Case(
        "bind mount",
        f"mkdir -p d; echo inside > d/f; docker run --rm -v $PWD/d:/d:ro {IMAGE} sh -c 'cat /d/f; touch /d/g'",
    ),
    Case(
        "named volume",
        f"docker run --rm -v v1:/data {IMAGE} sh -c 'echo kept > /data/f'; docker run --rm -v v1:/data {IMAGE} cat /data/f; docker volume rm v1",
    ),
    Case(
        "volume in use",
        f"docker create --name vu -v v2:/data {IMAGE}; docker volume rm v2; docker rm vu; docker volume rm v2",
    ),
    Case("ulimit", f"docker run --rm --ulimit nofile=100:200 {IMAGE} sh -c 'ulimit -n; ulimit -Hn'"),
    Case("sysctl", f"docker run --rm --sysctl net.ipv4.ip_forward=1 {IMAGE} cat /proc/sys/net/ipv4/ip_forward"),
    Case(
        "resolv.conf",
        f"docker run --rm --dns 9.9.9.9 --dns-search a.b --dns-option ndots:3 {IMAGE} grep -v -e '^#' -e '^$' /etc/resolv.conf",
    ),
    Case("add-host", f"docker run --rm --add-host far:1.2.3.4 {IMAGE} grep far /etc/hosts"),
    Case("network none", f"docker run --rm --network none {IMAGE} ip -o link | wc -l"),
    Case("network host", f"docker run --rm --network host {IMAGE} sh -c 'ls /sys/class/net | grep -c lo'"),
    Case("pids limit", f"docker run --rm --pids-limit 20 {IMAGE} cat /sys/fs/cgroup/pids/pids.max"),
    Case("memory limit", f"docker run --rm -m 64m {IMAGE} cat /sys/fs/cgroup/memory/memory.limit_in_bytes"),
    Case("cpus", f"docker run --rm --cpus 1.5 {IMAGE} sh -c 'cat /sys/fs/cgroup/cpu*/cpu.cfs_quota_us | head -1'"),
    Case("cpu shares", f"docker run --rm -c 512 {IMAGE} sh -c 'cat /sys/fs/cgroup/cpu*/cpu.shares | head -1'"),
    Case("setting the clock is refused", f"docker run --rm {IMAGE} date -s 2020-01-01"),
    Case("mounting is refused", f"docker run --rm {IMAGE} mount -t tmpfs x /mnt"),
    # --- lifecycle
    Case(
        "create, start, wait, logs, rm",
        f"docker create --name l1 {IMAGE} sh -c 'echo a; exit 3' | wc -c; docker start l1; docker wait l1; docker logs l1; docker rm l1",
    ),
    Case(
        "start attached",
        f"docker create --name l2 {IMAGE} sh -c 'echo a; exit 5'; docker start -a l2; echo $?; docker start -a l2; echo $?; docker rm l2",
    ),
    Case("start a missing one", "docker start nosuch"),
    Case(
        "stop",
        f"docker run -d --name s1 {IMAGE} sleep 1000; docker stop -t 0 s1; docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' s1; docker stop s1; docker rm s1",
    ),
    Case(
        "stop with a handler",
        f"docker run -d --name s2 {IMAGE} sh -c 'trap \"exit 42\" TERM; while :; do sleep 0.05; done'; sleep 0.3; docker stop s2; docker wait s2; docker rm s2",
    ),
    Case(
        "kill",
        f"docker run -d --name k1 {IMAGE} sleep 1000; docker kill k1; docker wait k1; docker kill k1; docker rm k1",
    ),
    Case(
        "kill with a wrong signal",
        f"docker run -d --name k2 {IMAGE} sleep 1000; docker kill -s NOPE k2; docker rm -f k2",
    ),
    Case(
        "restart",
        f"docker run -d --name r1 {IMAGE} sleep 1000; docker restart -t 0 r1; docker inspect -f '{{{{.State.Running}}}} {{{{.RestartCount}}}}' r1; docker rm -f r1",
    ),
    Case(
        "remove a running one",
        f"docker run -d --name rr {IMAGE} sleep 1000; docker rm rr; docker rm -f rr",
        is_loose=False,
    ),
    Case("remove a missing one", "docker rm nosuch; echo $?; docker rm -f nosuch; echo $?"),
    Case("name taken", f"docker create --name nt {IMAGE}; docker create --name nt {IMAGE}; docker rm nt"),
    Case(
        "rename",
        f"docker create --name rn1 {IMAGE}; docker rename rn1 rn2; docker ps -a --filter name=rn --format '{{{{.Names}}}}'; docker rm rn2",
    ),
    Case(
        "pause and unpause",
        f"docker run -d --name pa {IMAGE} sleep 1000; docker pause pa; docker ps --filter name=pa --format '{{{{.Status}}}}' | grep -o Paused; docker unpause pa; docker rm -f pa",
    ),
    Case(
        "wait for several",
        f"docker run -d --name w1 {IMAGE} sh -c 'exit 1'; docker run -d --name w2 {IMAGE} sh -c 'exit 2'; docker wait w1 w2; docker rm w1 w2",
    ),
    Case(
        "restart policy",
        f"docker run -d --name rp --restart on-failure:2 {IMAGE} false; sleep 3; docker inspect -f '{{{{.RestartCount}}}} {{{{.State.Status}}}} {{{{.State.ExitCode}}}}' rp; docker rm -f rp",
    ),
    # --- exec
    Case(
        "exec",
        f"docker run -d --name e1 {IMAGE} sleep 1000; docker exec e1 sh -c 'echo out; echo err >&2; exit 9'; echo $?; echo in | docker exec -i e1 cat; docker exec -u 5 -w /tmp -e X=y e1 sh -c 'id -u; pwd; echo $X'; docker exec e1 nosuch; echo $?; docker rm -f e1",
    ),
    Case(
        "exec detached",
        f"docker run -d --name e2 {IMAGE} sleep 1000; docker exec -d e2 touch /made; sleep 0.5; docker exec e2 ls /made; docker rm -f e2",
    ),
    Case("exec in a stopped one", f"docker create --name e3 {IMAGE}; docker exec e3 true; docker rm e3"),
    Case("exec in a missing one", "docker exec nosuch true"),
    Case(
        "exec capabilities",
        f"docker run -d --name e4 {IMAGE} sleep 1000; docker exec e4 grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status; docker exec --privileged -u 1000 e4 grep ^CapInh /proc/self/status; docker rm -f e4",
        is_loose=True,
    ),
    # --- logs
    Case(
        "logs",
        f"docker run --name lo1 {IMAGE} sh -c 'for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo e >&2' >/dev/null 2>&1; docker logs lo1; docker logs -n 2 lo1 2>&1; docker logs -t lo1 2>&1 | cut -c1-2 | uniq; docker rm lo1",
    ),
    Case(
        "logs -f ends with the container",
        f"docker run -d --name lo2 {IMAGE} sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done'; docker logs -f lo2; docker rm lo2",
    ),
    Case("logs of a missing one", "docker logs nosuch"),
    Case("logs without newline", f"docker run --name lo3 {IMAGE} printf abc; docker logs lo3; docker rm lo3"),
    # --- list, inspect, top, port
    Case(
        "ps",
        f"docker run -d --name p1 -p 18001:80 -p 127.0.0.1:18002:81/udp -l a=b {IMAGE} sleep 1000; docker ps --filter label=a=b; docker ps -q --filter label=a=b | wc -l; docker ps --filter label=a=b --format '{{{{.Ports}}}} {{{{.Labels}}}} {{{{.State}}}}'; docker port p1; docker port p1 80; docker port p1 99; docker rm -f p1",
    ),
    Case("ps with a wrong filter", "docker ps --filter nope=x; docker ps --filter status=nope"),
    Case(
        "ps of exited ones",
        f"docker run --name px {IMAGE} false; docker ps -a --filter name=px --format '{{{{.Status}}}} {{{{.Command}}}}'; docker rm px",
    ),
    Case(
        "inspect a missing one", "docker inspect nosuch; docker container inspect nosuch; docker image inspect nosuch"
    ),
    Case(
        "inspect fields",
        f"docker create --name i1 -e A=1 -p 80 --memory 64m --restart always -v /x:/y -w /w -u 5 --label q=r {IMAGE} ls -l; docker inspect -f '{{{{.Path}}}} {{{{json .Args}}}} {{{{.Config.User}}}} {{{{.Config.WorkingDir}}}} {{{{json .Config.Env}}}} {{{{.HostConfig.Memory}}}} {{{{json .HostConfig.RestartPolicy}}}} {{{{json .HostConfig.Binds}}}} {{{{json .Config.Labels}}}} {{{{json .HostConfig.PortBindings}}}} {{{{.State.Status}}}} {{{{json .Mounts}}}}' i1; docker rm i1",
    ),
    Case(
        "inspect host config",
        f"docker create --name i2 {IMAGE}; docker inspect -f '{{{{json .HostConfig}}}}' i2 | tr , '\\n' | sort; docker inspect -f '{{{{json .Config}}}}' i2; docker inspect i2 | jq -c '.[0]|keys'; docker inspect i2 | jq -c '.[0].State|keys'; docker inspect i2 | jq -c '.[0].NetworkSettings|keys'; docker rm i2",
        differs=(OWN_RUNTIME,),
    ),
    Case(
        "top",
        f"docker run -d --name t1 {IMAGE} sleep 1000; docker top t1 | awk '{{print $1, $NF}}'; docker top t1 -o pid,comm | awk '{{print $2}}'; docker rm -f t1",
    ),
    # --- images
    Case("images", "docker images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}' | grep -v hello-world | sort"),
    Case(
        "image inspect",
        f"docker image inspect {IMAGE} | jq -S '.[0]|{{Id,RepoTags,Architecture,Os,Config,RootFS,Size}}'",
        is_loose=True,
    ),
    Case(
        "tag and rmi",
        f"docker tag {IMAGE} other/name:v1; docker images -q other/name | wc -l; docker rmi other/name:v1; docker rmi nosuch",
    ),
    Case("rmi in use", f"docker create --name ru {IMAGE}; docker rmi {IMAGE}; docker rm ru"),
    Case("history", f"docker history --format '{{{{.Size}}}} {{{{.CreatedBy}}}}' --no-trunc {IMAGE}"),
    Case("image missing, never pulled", "docker run --pull never nosuch:tag"),
    Case(
        "import",
        "mkdir -p r/bin; echo hi > r/f; tar -C r -c . | docker import -c 'CMD [\"/x\"]' -m msg - imported:one | cut -c1-7; docker history --format '{{.Comment}}' imported:one; docker inspect -f '{{json .Config.Cmd}}' imported:one; docker rmi imported:one | grep -c Untagged",
    ),
    Case(
        "save and load",
        f"docker save {IMAGE} -o s.tar; docker tag {IMAGE} keep:me; docker rmi {IMAGE}; docker load -i s.tar; docker rmi keep:me; docker images -q {IMAGE} | wc -l",
    ),
    Case("load nonsense", "echo nonsense | docker load; echo $?", is_error=True),
    Case("tag nonsense", "docker tag nosuch x; docker tag nosuch 'BAD NAME'"),
    # --- networks
    Case(
        "published port answers",
        f"docker run -d --name n1 -p 18080:8080 {IMAGE} sh -c 'while :; do echo -e \"HTTP/1.0 200 OK\\n\\nhello\" | nc -l -p 8080; done'; sleep 0.5; curl -s --max-time 3 http://127.0.0.1:18080/; docker rm -f n1",
    ),
    Case(
        "port taken",
        f"docker run -d --name n2 -p 18090:80 {IMAGE} sleep 1000; docker run -d --name n3 -p 18090:80 {IMAGE} sleep 1000; docker inspect -f '{{{{.State.Status}}}}' n3; docker rm -f n2 n3",
        differs=(Difference(":::18090", "0.0.0.0:18090", "dockerd tries the two protocols in either order"),),
    ),
    Case("network ls", "docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}' | sort"),
    Case("remove a pre-defined network", "docker network rm bridge"),
    Case(
        "container network",
        f'docker run -d --name nc1 {IMAGE} sleep 1000; A=$(docker exec nc1 cat /proc/net/fib_trie | md5sum); B=$(docker run --rm --network container:nc1 {IMAGE} cat /proc/net/fib_trie | md5sum); [ "$A" = "$B" ] && echo same; docker rm -f nc1',
    ),
    Case("unknown network", f"docker run --rm --network nosuch {IMAGE} true"),
    # --- conflicting or wrong options
    Case("conflict host and hostname", f"docker run --rm --network container:x --hostname h {IMAGE} true"),
    Case("restart and rm", f"docker run --rm --restart always {IMAGE} true"),
    Case("bad restart policy", f"docker run --rm=false --restart nope {IMAGE} true"),
    Case("relative mount target", f"docker run --rm -v /a:b {IMAGE} true"),
    Case("bad volume name", f"docker run --rm -v 'a b:/c' {IMAGE} true"),
    Case("missing bind source by --mount", f"docker run --rm --mount type=bind,src=/no/such/place,dst=/x {IMAGE} true"),
    Case("unknown capability", f"docker run --rm --cap-add NOPE {IMAGE} true"),
    Case("unknown runtime", f"docker run --rm --runtime nope {IMAGE} true"),
    Case("unknown log driver", f"docker run --rm --log-driver nope {IMAGE} true"),
    Case("bad sysctl", f"docker run --rm --sysctl kernel.core_pattern=x {IMAGE} true"),
    Case("bad workdir", f"docker run --rm -w relative {IMAGE} true"),
    Case("bad stop signal", f"docker run --rm --stop-signal NOPE {IMAGE} true"),
    Case("bad cpus", f"docker run --rm --cpus 1000 {IMAGE} true"),
    Case("bad cpuset", f"docker run --rm --cpuset-cpus 99 {IMAGE} true"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_docker_cli_says_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
