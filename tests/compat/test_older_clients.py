# SPDX-License-Identifier: Apache-2.0
"""What clients of the first years rely on says the same against dockerd and against Holdfast.

Links as names, execs of a container that was stopped, tables of processes, and errors that are plain text.
"""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
_ASK = "ask() { curl -s -w ' %{http_code} %{content_type}\\n' --unix-socket $SOCKET -H Content-Type:application/json \"$@\"; }; "
_FIELD = "HostConfig.Links"

CASES = [
    Case(
        "a link is a name of the linked container",
        f"docker run -d --name one {IMAGE} sleep 100; docker run -d --name two --link one:al {IMAGE} sleep 100; "
        "docker inspect -f '{{.Name}}' two/al; docker ps --no-trunc --format '{{.Names}}' | tr , '\\n' | sort; "
        "docker exec two/al echo in one; docker inspect two/nosuch; docker rm two/al; docker top two/al -o pid | wc -l; "
        "docker rm --link two/nosuch; docker rm --link one/al; docker rm --link two/al; docker rm --link two/al; "
        f"docker inspect -f '{{{{json .{_FIELD}}}}}' two; docker ps --no-trunc --format '{{{{.Names}}}}'; docker rm -f one two",
    ),
    Case(
        "the forms of a link, and a renaming",
        f"docker run -d --name one {IMAGE} sleep 100; for link in one:/al /one:/two/al /one:al /one; do docker run -d --name two --link $link {IMAGE} sleep 100; "
        "docker ps --format '{{.Names}}' --no-trunc; docker exec two sh -c 'env | grep _NAME='; docker rename two three; docker inspect -f '{{.Name}}' three/al three/one two/al; "
        f"docker inspect -f '{{{{json .{_FIELD}}}}}' three; docker rm -f three; done; docker rm -f one",
    ),
    Case(
        "a container's own name is no link",
        f"docker create --name one {IMAGE}; docker rm --link one; docker rm one",
        is_error=True,
    ),
    Case(
        "no link to the host's network",
        f"docker run -d --name host --net host {IMAGE} sleep 100; docker run -d --name in --net container:host {IMAGE} sleep 100; "
        f"docker run --rm --link host:h {IMAGE} true; docker run --rm --link in:h {IMAGE} true; docker rm -f host in",
    ),
    Case(
        "an exec that was not started ends with its container",
        _ASK + f"docker run -d --name ex {IMAGE} sleep 100 >/dev/null; "
        "make() { curl -s --unix-socket $SOCKET -H Content-Type:application/json "
        '-d "{\\"Cmd\\":[\\"true\\"]}" http://d/containers/ex/exec | jq -r .Id; }; '
        "ID=$(make); docker stop -t 0 ex; ask http://d/exec/$ID/json; ask -d '{\"Detach\":true}' http://d/exec/$ID/start; "
        "docker start ex; ask -d '{\"Detach\":true}' http://d/exec/$ID/start; docker rm -f ex",
    ),
    Case(
        "nothing to run, and no image",
        _ASK
        + 'ask -d \'{"Image":"","HostConfig":{}}\' http://d/containers/create; ask -d \'{}\' http://d/containers/create',
    ),
    Case(
        "errors that are plain text",
        _ASK + "for path in v1.23/info v1.23/nosuch v1/info v1.99/info; do ask http://d/$path; done; "
        "ask -X POST http://d/v1.44/containers/nosuch/attach; ask -X POST -H 'Connection: Upgrade' -H 'Upgrade: tcp' "
        "http://d/v1.44/containers/nosuch/attach?stream=1; ask -X POST 'http://d/containers/nosuch/attach/x'; "
        f"docker create --name at {IMAGE} true; ask -X POST 'http://d/containers/at/attach?detachKeys=zzz,x'; "
        'for keys in ctrl-A,a del Ctrl-a ctrl-@,; do ask -X POST "http://d/containers/at/attach?detachKeys=$keys"; done; docker rm at',
    ),
    Case(
        "networks joined in a chain",
        f"docker run -d --name j1 {IMAGE} sleep 100; docker run -d --name j2 --net container:j1 {IMAGE} sleep 100; "
        f"docker run -d --name j3 --net container:j2 {IMAGE} sleep 100; "
        'for f in hosts hostname resolv.conf; do [ "$(docker exec j1 cat /etc/$f)" = "$(docker exec j3 cat /etc/$f)" ]; echo $?; done; '
        f"docker run --rm --link j3:last {IMAGE} sh -c 'ping -c1 last >/dev/null && echo reached'; docker rm -f j1 j2 j3",
    ),
    Case(
        "no network of one's own, and what does not go with a joined one",
        f"docker run --name me --net container:me {IMAGE} true; docker rm me; docker run -d --name j1 {IMAGE} sleep 100; "
        'for flag in "--dns 1.2.3.4" "--add-host a:1.2.3.4" "--link j1:y" "-h name" "-p 80" "--expose 80" -P "--link j1:y --dns 1.1.1.1"; do '
        f"docker run --rm --net container:j1 $flag {IMAGE} true; done; docker rm -f j1",
    ),
    Case(
        "a control group above the uppermost",
        f"for up in ../../../up-hf /../../up-hf /../up-hf/x/..; do docker run --rm --cgroup-parent $up {IMAGE} cat /proc/self/cgroup "
        "| grep pids | cut -d: -f3; done; ls -d /up-hf",
    ),
    Case(
        "named ports before any ports",
        f"docker run -d --name pb -p 18200-18202:80 -p 18200:8080 -p 18201:8081/tcp {IMAGE} sleep 100; docker port pb; docker rm -f pb",
    ),
    Case(
        "no device, and a directory without one",
        f"mkdir empty; touch file; for path in $PWD/empty $PWD/file $PWD/nosuch /etc/ssl; do docker run --rm --device $path {IMAGE} true; done",
    ),
    Case(
        "what a tmpfs passes on",
        f"for way in shared rshared slave private unbindable rw; do docker run --rm --tmpfs /t:$way {IMAGE} "
        "sh -c 'grep \" /t \" /proc/self/mountinfo' | cut -d' ' -f6-8 | sed 's/:.*//'; done",
    ),
    Case(
        "a link to nobody in a network of one's own",
        f"docker network create ol; docker run -d --name l1 --net ol --link l2:later {IMAGE} sleep 100; docker exec l1 ping -c 1 later; "
        f"docker run -d --name l2 --net ol {IMAGE} sleep 100; "
        "docker exec l1 ping -c 1 later >/dev/null; echo $?; docker rm -f l1 l2; docker network rm ol",
    ),
    Case(
        "aliases as older versions show them",
        f"docker network create ol; docker run -d --name l1 --net ol --network-alias x -h own {IMAGE} sleep 100; docker run -d --name l2 --net ol {IMAGE} sleep 100; "
        "docker network connect --alias y bridge l2; docker network connect bridge l2; for v in 1.44 1.45; do for n in l1 l2; do "
        "curl -s --unix-socket $SOCKET http://d/v$v/containers/$n/json | jq -cS '[.Id[:12], (.NetworkSettings.Networks | map_values(.Aliases))]' "
        "| sed 's/[0-9a-f]\\{12\\}/SHORT/g'; done; done; docker rm -f l1 l2; docker network rm ol",
    ),
    Case(
        "an exec knows what its container is linked to",
        f"docker run -d --name db -e A=1 --expose 5432 {IMAGE} sleep 100; docker run -d --name app --link db:db -e B=2 {IMAGE} sleep 100; "
        "docker exec -e B=3 app env | grep -v HOSTNAME | sed 's/172[0-9.]*/ADDRESS/' | sort; docker rm -f db app",
    ),
    Case(
        "events of an empty name are those of all",
        f"SINCE=$(date +%s.%N); docker create --name ev {IMAGE}; docker rm ev; "
        "docker events --since $SINCE --until $(date +%s.%N) -f container= --format '{{.Type}} {{.Action}}'",
    ),
    Case(
        "an image whose name went on to another",
        f"I=$(docker inspect -f '{{{{.Id}}}}' {IMAGE}); docker tag {IMAGE} mv:1; docker tag {IMAGE} mv:2; for n in mv:1 mv:2 $I ${{I#sha256:}} ${{I:7:9}}; do docker create $n true; done >/dev/null; "
        "show() { docker ps -a --no-trunc --format '{{.Image}}' | sed \"s/$I/ID/;s/${I:7:9}/PART/\" | cut -c1-8; docker system df -v --format '{{json .Containers}}' | grep -c ID; }; "
        f"show; docker rmi mv:1; docker tag alpine:3.20 mv:2 || docker rmi mv:2; show; docker ps -aq | xargs docker rm >/dev/null; docker rmi mv:2",
    ),
    Case(
        "a working directory is there before the start",
        f"echo x > file; docker create --name wd -w /a/b/c -u 1000 {IMAGE}; docker cp file wd:/a/b/c/; docker diff wd; docker export wd | tar tv a/ | tr -s ' ' | cut -d' ' -f1,2; "
        f"docker create --name wv -w /v/x -v /v {IMAGE} ls -d .; docker diff wv; docker start -a wv; docker create --name wu -w /usr/../bin {IMAGE}; docker diff wu; "
        f"docker create --name wf -w /etc/passwd {IMAGE}; docker ps -aq | wc -l; docker rm -v wd wv wu",
    ),
    Case(
        "filters of ps: order, ports, sources",
        f"docker run -d --name p1 -p 80 {IMAGE} sleep 100; docker run -d --name p2 --expose 8080 {IMAGE} sleep 100; docker run -d --name p3 -p 18290:90 -v $PWD:/m {IMAGE} sleep 100; "
        f"docker create --name p4 -p 18291:91 {IMAGE}; for f in since=p1 before=p4 publish=80 publish=18290 publish=90 publish=18291 publish=80-8080/udp expose=80/tcp expose=80-90 expose=8080 volume=$PWD volume=/m; do "
        "echo $f; docker ps --filter $f --format '{{.Names}}'; done | sed \"s@$PWD@FOLDER@\"; docker ps -a --filter since=p1 --filter publish=18291 --filter expose=80-90 --format '{{.Names}}'; docker rm -f p1 p2 p3 p4",
    ),
    Case(
        "no name of an image",
        "docker rmi ' '; docker inspect ' '",
    ),
    Case(
        "a link to one who is not in the default network",
        f"docker network create ol; docker run -d --name c2 --net ol {IMAGE} sleep 100; docker run --name c3 --link c2:x {IMAGE} true; "
        f"docker network connect bridge c2; docker run --rm --link c2:x {IMAGE} ping -c1 x >/dev/null; echo $?; docker rm -f c2 c3; docker network rm ol",
    ),
    Case(
        "an IPv4 address in IPv6's clothes",
        f"docker network create --ipv6 --subnet 2001:db8:1234::/64 ol; docker create --net ol --ip6 ::ffff:172.28.99.99 {IMAGE}; docker create --net ol --ip6 2001:db8:1235::9 {IMAGE}; docker network rm ol",
    ),
    Case(
        "a link is a name in its own network only",
        f"docker network create o1; docker network create o2; docker run -d --name a --net o1 {IMAGE} sleep 100; docker run -d --name b --net o1 --link a:first {IMAGE} sleep 100; "
        "try() { docker exec b ping -c1 -W1 $1 >/dev/null 2>&1; echo $1 $?; }; try first; docker network connect o2 a; docker network connect --link a:second o2 b; "
        "try second; docker network disconnect o1 a; try first; try second; docker rm -f a b; docker network rm o1 o2",
    ),
    Case(
        "top with ps's other arguments",
        f"docker run -d --name pt {IMAGE} sh -c 'sleep 100 & exec sleep 200' >/dev/null; sleep 0.3; "
        "show() { docker top pt \"$@\" | sed 's/[0-9][0-9:.]*/N/g;s/  */ /g'; }; "
        "show aux --sort=comm; show -eo pid,args --sort -args; show -eo pid,args k args; show -x; show auxw; show -ef --sort=nosuch; "
        "show ax; show -efww; show -o pid,nosuch; show -e; docker rm -f pt",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_older_clients_are_served_alike(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
