# SPDX-License-Identifier: Apache-2.0
"""More of the docker CLI on both daemons: ports, volumes, files given to flags, joined networks, events, top, API versions."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
SLEEP = f"{IMAGE} sleep 1000"
HTTP = 'while :; do echo -e \\"HTTP/1.0 200 OK\\n\\nhello\\" | nc -l -p 8080; done'

PORTS = [
    Case(
        "publish all",
        f"docker run -d --name pa1 -P --expose 8080 --expose 53/udp {SLEEP} >/dev/null; docker port pa1 | sed 's/:[0-9]*$/:N/' | sort; docker inspect -f '{{{{json .HostConfig.PortBindings}}}} {{{{json .Config.ExposedPorts}}}} {{{{len .NetworkSettings.Ports}}}}' pa1; docker rm -f pa1",
    ),
    Case(
        "a range of ports",
        f"docker run -d --name pr1 -p 18100-18102:80-82 {SLEEP} >/dev/null; docker port pr1; docker ps --filter name=pr1 --format '{{{{.Ports}}}}'; docker rm -f pr1",
    ),
    Case(
        "one of a range of host ports",
        f"docker run -d --name po1 -p 18110-18112:80 {SLEEP} >/dev/null; docker run -d --name po2 -p 18110-18112:80 {SLEEP} >/dev/null; docker port po1; docker port po2; docker rm -f po1 po2",
    ),
    Case("ranges of different lengths", f"docker run --rm -p 18100-18102:80-81 {IMAGE} true"),
    Case(
        "udp answers",
        f"docker run -d --name pu1 -p 18120:9000/udp {IMAGE} sh -c 'nc -u -l -p 9000 -e cat' >/dev/null; sleep 0.4; echo ping | timeout 2 socat -t1 - udp:127.0.0.1:18120; docker port pu1 9000/udp; docker port pu1 9000; docker rm -f pu1",
    ),
    Case(
        "a published port and its neighbour",
        f'docker run -d --name pn1 -p 18130:8080 {IMAGE} sh -c "{HTTP}" >/dev/null; sleep 0.4; A=$(docker inspect -f "{{{{.NetworkSettings.IPAddress}}}}" pn1); docker run --rm {IMAGE} wget -qO- http://$A:8080/; curl -s --max-time 3 http://$A:8080/; docker rm -f pn1',
    ),
    Case(
        "a published port by the host's IPv6 loopback",
        f"docker run -d --name pi1 -p 18140:8080 -p [::1]:18141:9000/udp {IMAGE} sh -c 'nc -u -l -p 9000 -e cat & while :; do echo hello | nc -l -p 8080; done' >/dev/null; sleep 0.4; timeout 2 socat -u TCP:[::1]:18140 -; echo ping | timeout 2 socat -t1 - udp:[::1]:18141; docker port pi1; docker rm -f pi1",
    ),
    Case(
        "a port on one address only",
        f'docker run -d --name p11 -p 127.0.0.1:18140:8080 {IMAGE} sh -c "{HTTP}" >/dev/null; sleep 0.4; curl -s --max-time 3 http://127.0.0.1:18140/; docker port p11; docker rm -f p11',
    ),
    Case(
        "a port of nonsense", f"docker run -p x:80 {IMAGE}; docker run -p 80:x {IMAGE}; docker run -p 80/icmp {IMAGE}"
    ),
    Case("an address of nonsense", f"docker run --rm -p 999.1.1.1:80:80 {IMAGE} true"),
]
NETWORKS = [
    Case(
        "join a container's network",
        f"docker run -d --name jn1 --hostname joined {SLEEP} >/dev/null; docker run --rm --network container:jn1 {IMAGE} hostname; docker inspect -f '{{{{len .NetworkSettings.Networks}}}}' jn1; docker rm -f jn1",
    ),
    Case("join a missing one", f"docker run --rm --network container:nosuch {IMAGE} true"),
    Case(
        "join one that does not run",
        f"docker create --name jn2 {IMAGE} true >/dev/null; docker run --rm --network container:jn2 {IMAGE} true; echo $?; docker rm jn2",
    ),
    Case("ports of a joined network", f"docker run --rm -p 80 --network container:x {IMAGE} true"),
    Case(
        "network inspect",
        "docker network inspect bridge -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.Attachable}} {{json .ConfigFrom}}'; docker network inspect nosuch",
    ),
    Case(
        "hosts file",
        f"docker run --rm --hostname box --domainname lan {IMAGE} sh -c 'sed s/172.17.0.*[[:space:]]box/IP\\ box/ /etc/hosts; hostname -f'",
    ),
    Case("mac address", f"docker run --rm --mac-address 02:42:ac:11:00:99 {IMAGE} cat /sys/class/net/eth0/address"),
    Case(
        "a port exposed in two ways is one port",
        f"""curl -s --unix-socket $SOCKET -H 'Content-Type: application/json' -d '{{"Image":"{IMAGE}","Cmd":["sleep","100"],"ExposedPorts":{{"80/tcp":{{}},"80":{{}},"443":{{}}}}}}' 'http://d/containers/create?name=ex2' | jq .Warnings
        docker start ex2; curl -sg --unix-socket $SOCKET 'http://d/containers/json?filters={{"name":["ex2"]}}' | jq -c '.[].Ports|sort'; docker ps --filter name=ex2 --format '{{{{.Ports}}}}'; docker port ex2; docker rm -f ex2""",
    ),
    Case(
        "endpoint keys",
        f"docker run -d --name ek1 {SLEEP} >/dev/null; docker inspect ek1 | jq -c '.[0].NetworkSettings.Networks.bridge|keys'; docker inspect -f '{{{{.NetworkSettings.Networks.bridge.IPPrefixLen}}}}' ek1; docker rm -f ek1",
    ),
]
VOLUMES = [
    Case(
        "anonymous volumes go with rm -v",
        f"docker run -d --name av1 -v /data -v named1:/n {SLEEP} >/dev/null; docker inspect -f '{{{{len .Mounts}}}}' av1; docker rm -f -v av1; docker volume ls -q | sort; docker volume rm named1",
    ),
    Case(
        "anonymous volumes stay without -v",
        f"docker run -d --name av2 -v /data {SLEEP} >/dev/null; V=$(docker inspect -f '{{{{(index .Mounts 0).Name}}}}' av2); docker rm -f av2; docker volume ls -q | grep -c $V; docker volume rm $V",
    ),
    Case(
        "run --rm takes its anonymous volumes along",
        f"docker volume ls -q > before; docker run --rm -v /data {IMAGE} true; docker volume ls -q | diff before -",
    ),
    Case(
        "volumes from another",
        f"docker run --name vf1 -v /data -v vf:/named:ro {IMAGE} sh -c 'echo kept > /data/f'; docker run --rm --volumes-from vf1 {IMAGE} sh -c 'cat /data/f; touch /named/x'; docker run --rm --volumes-from vf1:ro {IMAGE} touch /data/g; docker rm -v vf1; docker volume rm vf",
    ),
    Case("volumes from a missing one", f"docker run --rm --volumes-from nosuch {IMAGE} true"),
    Case(
        "volume inspect",
        "docker volume create --label a=b vi1; docker volume inspect vi1 | jq -cS '.[0]|del(.CreatedAt,.Mountpoint)'; docker volume ls --filter label=a=b --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}'; docker volume rm vi1; docker volume inspect vi1; docker volume rm vi1; docker volume rm -f vi1",
    ),
    Case("volume of a bad name", "docker volume create 'a b'; docker volume create x"),
    Case(
        "volume prune",
        "docker volume create vp1 >/dev/null; docker volume prune -f; docker volume ls -q --filter name=vp1; docker volume rm vp1",
    ),
    Case(
        "image's files fill a new volume",
        f"docker run --rm -v fill1:/etc {IMAGE} ls /etc/passwd; docker run --rm -v fill1:/x {IMAGE} ls /x/passwd; docker run --rm -v fill2:/etc:nocopy {IMAGE} ls /etc | sort; docker volume rm fill1 fill2",
    ),
    Case(
        "--mount forms",
        f"docker run --rm --mount type=volume,src=mt1,dst=/m,ro --mount type=tmpfs,dst=/t,tmpfs-size=1m {IMAGE} sh -c 'touch /m/x; df -k /t | tail -1 | awk \"{{print \\$2}}\"'; docker volume rm mt1",
    ),
]
FILES = [
    Case(
        "cidfile",
        f"docker run --rm --cidfile cid {IMAGE} true; wc -c < cid; docker run --rm --cidfile cid {IMAGE} true; echo $?",
    ),
    Case(
        "env-file",
        f"printf 'A=1\\n# no\\nB=two words\\nHOME\\n' > e; docker run --rm --env-file e -e A=2 {IMAGE} sh -c 'echo $A; echo $B'; docker run --rm --env-file missing {IMAGE} true; echo $?; echo ' bad key=1' > f; docker run --rm --env-file f {IMAGE} env; echo $?",
    ),
    Case(
        "label-file",
        f"printf 'x=1\\ny\\n' > l; docker create --name lf1 --label-file l {IMAGE} >/dev/null; docker inspect -f '{{{{json .Config.Labels}}}}' lf1; docker rm lf1",
    ),
    Case(
        "import with changes",
        "mkdir r; echo hi > r/f; tar -C r -c . > i.tar; docker import -c 'ENV A=1' -c 'EXPOSE 80' -c 'USER 5' -c 'WORKDIR /w' i.tar im:1 | cut -c1-7; docker inspect -f '{{json .Config}}' im:1; docker import -c 'FROM x' i.tar im:2; docker import missing.tar; docker rmi im:1 >/dev/null",
    ),
    Case(
        "save several, load",
        f"docker tag {IMAGE} sv/a:1; docker tag {IMAGE} sv/b:2; docker save -o s.tar sv/a:1 sv/b:2; tar tf s.tar | grep -c -e manifest.json -e oci-layout -e index.json -e repositories; jq -c '[.[].RepoTags]' <(tar xOf s.tar manifest.json); docker rmi sv/a:1 sv/b:2; docker load -q < s.tar; docker rmi sv/a:1 sv/b:2; docker save nosuch",
    ),
    Case(
        "run what was saved by id",
        f"docker save $(docker images -q {IMAGE}) > s.tar; tar xOf s.tar manifest.json | jq -c '.[0].RepoTags'",
    ),
]
PROCESSES = [
    Case(
        "pids limit refuses forks",
        f"docker run --rm --pids-limit 6 {IMAGE} sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done' 2>&1 | grep -o fork | head -1",
    ),
    Case(
        "memory limit kills",
        f"docker run --name om1 -m 8m {IMAGE} sh -c 'x=a; while :; do x=$x$x; done' >/dev/null 2>&1; docker inspect -f '{{{{.State.ExitCode}}}} {{{{.State.OOMKilled}}}}' om1; docker rm om1",
    ),
    Case(
        "start -ai",
        f"docker create -i --name sai {IMAGE} cat; echo through | docker start -ai sai; docker start -a nosuch; docker rm sai",
    ),
    Case(
        "start several",
        f"docker create --name ss1 {IMAGE} true >/dev/null; docker create --name ss2 {IMAGE} true >/dev/null; docker start ss1 nosuch ss2; echo $?; docker wait ss1 ss2; docker rm ss1 ss2",
    ),
    Case(
        "kill -s",
        f'docker run -d --name ks1 {IMAGE} sh -c \'trap "echo usr1" USR1; trap "exit 3" TERM; while :; do sleep 0.05; done\' >/dev/null; sleep 0.3; docker kill -s USR1 ks1; sleep 0.2; docker kill --signal 15 ks1; docker wait ks1; docker logs ks1; docker kill -s 99 ks1; docker rm ks1',
    ),
    Case(
        "stop signal and timeout of the container",
        f"docker run -d --name st1 --stop-signal USR1 --stop-timeout 1 {IMAGE} sh -c 'trap \"exit 9\" USR1; while :; do sleep 0.05; done' >/dev/null; sleep 0.3; docker stop st1; docker inspect -f '{{{{.State.ExitCode}}}} {{{{.Config.StopSignal}}}} {{{{.Config.StopTimeout}}}}' st1; docker rm st1",
    ),
    Case(
        "top's columns",
        f"docker run -d --name tc1 {SLEEP} >/dev/null; docker top tc1 | head -1; docker top tc1 aux | head -1; docker top tc1 -eo pid,args | tail -1 | awk '{{print $2, $3}}'; docker top tc1 -o nope; docker rm -f tc1; docker top tc1",
    ),
    Case(
        "image missing",
        "docker run --pull never nosuch; echo $?; docker create --pull never nosuch:x; echo $?; docker run --pull wrong x; echo $?",
    ),
    Case(
        "signals reach the process",
        f"docker run --rm --name sp1 {IMAGE} sh -c 'trap \"exit 42\" TERM; while :; do sleep 0.05; done' & sleep 1; kill -TERM $!; wait $!; echo $?",
    ),
    Case(
        "privileged",
        f"docker run --rm --privileged {IMAGE} grep ^CapEff /proc/self/status 2>/dev/null",  # on stderr: what the host lacks
    ),
    Case(
        "group-add",
        f"docker run --rm --group-add 77 --group-add audio {IMAGE} id; docker run --rm --group-add nosuch {IMAGE} id",
    ),
    Case(
        "security options",
        f"docker run --rm --security-opt no-new-privileges {IMAGE} grep -E '^(NoNewPrivs|Seccomp:)' /proc/self/status; docker run --rm --security-opt seccomp=unconfined {IMAGE} grep ^Seccomp: /proc/self/status; docker run --rm --security-opt nope=1 {IMAGE} true",
    ),
    Case(
        "device",
        f"docker run --rm --device /dev/null:/dev/mine:r {IMAGE} ls -l /dev/mine | cut -c1-10; docker run --rm --device /dev/nosuch {IMAGE} true",
    ),
    Case(
        "exec in a paused one",
        f"docker run -d --name ep1 {SLEEP} >/dev/null; docker pause ep1; docker exec ep1 true; echo $?; docker pause ep1; docker stop -t 0 ep1; docker unpause ep1; docker rm -f ep1",
    ),
    Case(
        "update",
        f"docker run -d --name up1 {SLEEP} >/dev/null; docker update --memory 64m --memory-swap 128m --restart on-failure:3 up1; docker inspect -f '{{{{.HostConfig.Memory}}}} {{{{json .HostConfig.RestartPolicy}}}}' up1; docker exec up1 cat /sys/fs/cgroup/memory/memory.limit_in_bytes; docker update up1; docker rm -f up1",
    ),
    Case(
        "wait for a missing one",
        "docker wait nosuch; docker stop nosuch; docker restart nosuch; docker pause nosuch; docker rename nosuch x; docker top nosuch; docker port nosuch; docker attach nosuch; docker kill nosuch",
    ),
    Case(
        "attach to a stopped one",
        f"docker create --name as1 {IMAGE} true >/dev/null; docker attach as1; echo $?; docker rm as1",
    ),
    Case(
        "container prune",
        f"docker create --name cp1 -l prune=me {IMAGE} true >/dev/null; docker container prune -f --filter label=prune=me",
    ),
]
REFUSALS = [
    *[
        Case(f"refused: {flags}", f"docker run --rm {flags} {IMAGE} true; docker ps -aq | wc -l")
        for flags in (
            "--ip 1.2.3.4",
            "--tmpfs relative",
            "--cpuset-cpus x",
            "--cpuset-mems 99",
            "--isolation hyperv",
            "--log-opt max-size=x",
            "--log-opt nope=x",
            "--storage-opt size=1G",
            "--gpus all",
            "--entrypoint ''",
            "--dns nope",
            "--add-host x",
            "--network host -p 80:80",
            "--user 99999999999",
            "--oom-score-adj 2000",
            "--shm-size -1",
            "-v /:/",
            "-m 64m --memory-swap 32m",
            "-m 32m --memory-reservation 64m",
            "--ipc container:nosuch",
            "--pid container:nosuch",
            "--health-cmd x --health-interval 1us",
            "--sysctl nope=1",
            "--security-opt seccomp=/nosuch",
            "--cap-drop NOPE",
            "--device-cgroup-rule x",
            "--userns nope",
            "--uts x",
            "--memory-swappiness 200",
            "--cpu-shares -1",
            "--cpu-period 1",
            "--cpu-quota 1",
            "--mac-address zz",
            "--link nosuch:x",
            "--network-alias x",
        )
    ],
    Case(
        "exec refused",
        f"docker run -d --name er1 {SLEEP} >/dev/null; docker exec -u nosuch er1 true; echo $?; docker exec -w /nosuch er1 true; echo $?; docker exec -e =x er1 true; docker exec -d er1 nosuch; echo $?; docker exec -it er1 true; docker rm -f er1",
    ),
]
EVENTS = [
    Case(
        "events of a life",
        f"S=$(date +%s.%N); docker run --rm --name ev1 {IMAGE} true; sleep 0.3; docker events --since $S --until $(date +%s.%N) --filter container=ev1 --format '{{{{.Type}}}} {{{{.Action}}}} {{{{.Actor.Attributes.name}}}} {{{{.Actor.Attributes.exitCode}}}}'",
    ),
    Case(
        "events by type and event",
        f"S=$(date +%s.%N); docker volume create ev2 >/dev/null; docker volume rm ev2 >/dev/null; docker tag {IMAGE} ev:3; docker rmi ev:3 >/dev/null; docker events --since $S --until $(date +%s.%N) --filter type=volume --filter type=image --format '{{{{.Type}}}} {{{{.Action}}}} {{{{.Actor.Attributes.name}}}}'; docker events --since $S --until $(date +%s.%N) --filter event=destroy --format '{{{{.Type}}}} {{{{.Action}}}}'",
    ),
    Case(
        "events of networks, exec, kill, rename",
        f"S=$(date +%s.%N); docker run -d --name ev4 -l k=v {SLEEP} >/dev/null; docker exec ev4 true; docker rename ev4 ev5; docker pause ev5 >/dev/null; docker unpause ev5 >/dev/null; docker kill ev5 >/dev/null; docker wait ev5; docker rm ev5; sleep 0.3; docker events --since $S --until $(date +%s.%N) --filter label=k=v --format '{{{{.Action}}}} {{{{.Actor.Attributes.name}}}} {{{{.Actor.Attributes.signal}}}} {{{{.Actor.Attributes.oldName}}}}'; docker events --since $S --until $(date +%s.%N) --filter type=network --format '{{{{.Action}}}} {{{{.Actor.Attributes.name}}}} {{{{.Actor.Attributes.type}}}}'",
    ),
    Case("events in a wrong way", "docker events --since yesterday --until 0; docker events --until tomorrow"),
]
VERSIONS = [
    *[
        Case(
            f"API {version}",
            f"export DOCKER_API_VERSION={version}; docker version -f '{{{{.Client.APIVersion}}}}'; docker run --name av1 -p 18150:80 -v /x {IMAGE} echo hi; docker wait av1; docker ps -a --filter name=av1 --format '{{{{.Names}}}} {{{{.Status}}}}'; docker inspect av1 | jq -cS '.[0]|keys, (.HostConfig|keys), (.NetworkSettings|keys), (.Config|keys)'; docker images -q {IMAGE} | wc -l; docker image inspect {IMAGE} | jq -cS '.[0]|keys'; docker rm -v av1; docker network ls --format '{{{{.Name}}}}' | sort",
        )
        for version in ("1.24", "1.30", "1.41", "1.44", "1.51")
    ],
    Case(
        "API too new", "DOCKER_API_VERSION=1.99 docker ps; curl -s --unix-socket $SOCKET http://d/v1.99/containers/json"
    ),
    Case(
        "API too old",
        "DOCKER_API_VERSION=1.12 docker ps; curl -si --unix-socket $SOCKET http://d/v1.23/containers/json | grep -i -e ^HTTP -e ^content -e ^x- -e ^client | sort",
    ),
    Case(
        "no version",
        "curl -s --unix-socket $SOCKET http://d/containers/json?limit=0 | cut -c1; curl -si --unix-socket $SOCKET http://d/_ping | tr -d '\\r' | grep -i -e ^HTTP -e ^ostype -e ^api-version -e ^OK -e ^swarm -e ^cache -e ^pragma -e ^content -e ^docker | sort",
    ),
    Case(
        "unknown routes",
        "for p in nosuch v1.41/nosuch v1.41/containers v1.41/containers/x/nosuch v1.41; do curl -s -w ' %{http_code} %{content_type}\\n' --unix-socket $SOCKET http://d/$p; done; curl -s -X PUT -w ' %{http_code}\\n' --unix-socket $SOCKET http://d/v1.41/containers/json",
    ),
]
CASES = [*PORTS, *NETWORKS, *VOLUMES, *FILES, *PROCESSES, *REFUSALS, *EVENTS, *VERSIONS]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_docker_cli_says_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
