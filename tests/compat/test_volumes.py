# SPDX-License-Identifier: Apache-2.0
"""Volumes on both daemons: options that mount, use and removal, filters, prune, events, and what is refused."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
ALPINE = "alpine:3.20"
# where volumes lie differs, and so does the file system's device number in mountinfo
HIDE = "sed \"s#$(docker info -f '{{.DockerRootDir}}')#ROOT#g\""
API = "curl -gs --unix-socket $SOCKET -H 'Content-Type: application/json' -w ' %{http_code}\\n'"

OPTIONS = [
    Case(
        "a tmpfs is there while it is used",
        f"docker volume create -o type=tmpfs -o device=tmpfs -o o=size=2m,uid=1000,nosuid vo1; docker run -d --name vo1 -v vo1:/d {IMAGE} sleep 100 >/dev/null; docker exec vo1 sh -c 'touch /d/kept; stat -c %u /d; df -k /d | tail -1 | tr -s \" \"; grep \" /d \" /proc/mounts'; docker run --rm -v vo1:/e {IMAGE} ls /e; docker rm -f vo1; docker run --rm -v vo1:/d {IMAGE} ls /d; docker volume inspect vo1 -f '{{{{json .Options}}}}'; docker volume rm vo1",
    ),
    Case(
        "a directory of the host",
        f'mkdir dir; touch dir/one; docker volume create -o type=none -o o=bind -o device=$PWD/dir vo2; docker run --rm -v vo2:/d {IMAGE} sh -c "ls /d; touch /d/two"; ls dir; docker volume rm vo2; ls dir',
    ),
    Case(
        "a directory of the host, read-only",
        f"mkdir dir; docker volume create -o type=none -o o=bind,ro -o device=$PWD/dir vo3; docker run --rm -v vo3:/d {IMAGE} touch /d/two; docker volume rm vo3",
    ),
    Case(
        "a directory of the host, shared",
        f"mkdir dir; docker volume create -o type=none -o o=bind,ro,rshared -o device=$PWD/dir vo7; docker run -d --name vo7 -v vo7:/d {IMAGE} sleep 100 >/dev/null; grep /vo7/_data /proc/self/mountinfo | grep -o -e ' shared:' -e ' ro[ ,]'; docker rm -f vo7; grep -c /vo7/_data /proc/self/mountinfo; docker volume rm vo7",
    ),
    Case(
        "an empty directory of the host takes what the image has",
        f"mkdir dir; docker volume create -o type=none -o o=bind -o device=$PWD/dir vo4; docker run --rm -v vo4:/etc {ALPINE} true; test -e dir/passwd && echo copied; docker volume rm vo4",
    ),
    Case(
        "what cannot be mounted",
        f"for o in '-o type=none -o o=bind -o device=/nowhere/at/all' '-o type=nosuchfs -o device=x' '-o type=tmpfs -o o=bogus=1 -o device=x'; do docker volume create $o vo5; docker run --rm -v vo5:/d {IMAGE} true 2>&1 | {HIDE}; docker create -v vo5:/etc {IMAGE} true 2>&1 | {HIDE}; docker volume rm vo5; done; docker ps -aq --filter volume=vo5 | xargs -r docker rm >/dev/null",
    ),
    Case(
        "wrong options",
        'for o in "-o type=tmpfs" "-o device=/x" "-o o=bind" "-o bogus=1" "-o size=1m" "-o type=none -o o=bind" "-o type=cifs -o device=//h:445/x"; do docker volume create $o vo6; done; docker volume inspect vo6',
        is_error=True,
    ),
]
LIFE = [
    Case(
        "empty words ask for no mount",
        f"docker volume create -o type= -o o= -o device= vl9; docker volume inspect vl9 -f '{{{{json .Options}}}}'; docker run --rm -v vl9:/d {IMAGE} touch /d/f; docker run --rm -v vl9:/d {IMAGE} ls /d; docker volume rm vl9",
    ),
    Case(
        "what is given and empty is shown empty",
        f"""for b in '{{"Name":"vl10","Labels":{{}},"DriverOpts":{{}}}}' '{{"Name":"vl10"}}'; do {API} -X POST http://d/v1.51/volumes/create -d "$b" | grep -oE '"(Labels|Options)":[^,]*'; docker volume rm vl10; done""",
    ),
    Case(
        "in use",
        f"docker volume create vl1; docker create --name vl1 -v vl1:/d {IMAGE} true; docker volume rm vl1; docker volume rm -f vl1; docker rm vl1; docker volume rm vl1; docker volume rm vl1; docker volume rm -f vl1",
    ),
    Case(
        "names",
        "for n in a ../x 'a b' .x _x a/b '' éé; do docker volume create -- \"$n\" >/dev/null && echo made; done; docker volume create --name x1 y1; docker volume prune -f >/dev/null",
    ),
    Case(
        "made again",
        "docker volume create --label a=b vl3; docker volume create --label c=d vl3; docker volume create -d nosuch vl3; docker volume inspect vl3 -f '{{json .Labels}} {{.Driver}} {{.Scope}} {{json .Options}}'; docker volume rm vl3",
    ),
    Case(
        "filters",
        "docker volume create --label k=v vf1 >/dev/null; docker volume create vf2 >/dev/null; for f in name=vf label=k label=k=v label=k=w label=nosuch dangling=true dangling=false driver=local driver=x 'name=^vf1$'; do echo $f; docker volume ls --filter $f --filter name=vf --format '{{.Name}}'; done; docker volume ls -f bogus=1; docker volume ls -f dangling=maybe; docker volume rm vf1 vf2",
    ),
    Case(
        "prune takes anonymous ones, then all, never those with options",
        f"docker volume prune -af >/dev/null; docker volume create vp1 >/dev/null; docker volume create --label keep vp2 >/dev/null; docker volume create -o type=tmpfs -o device=tmpfs vp3 >/dev/null; docker volume create >/dev/null; docker create --name vp4 -v /x {IMAGE} true >/dev/null; docker volume prune -f; docker volume prune -af --filter label!=keep; docker volume ls -q | sort; docker rm -v vp4; docker volume rm vp2 vp3; docker volume prune -af --filter bogus=1; {API} -X POST http://d/v1.51/volumes/prune",
    ),
    Case(
        "prune before 1.42 takes named ones",
        f"docker volume create vp5 >/dev/null; {API} -X POST http://d/v1.41/volumes/prune",
    ),
    Case(
        "volumes of a swarm",
        f'docker volume create vs1; {API} -X PUT http://d/v1.51/volumes/vs1?version=1 -d \'{{}}\'; {API} -X POST http://d/v1.51/volumes/create -d \'{{"Name":"vs2","ClusterVolumeSpec":{{"Group":"g"}}}}\'; docker volume rm vs1; docker volume ls -q --filter name=vs',
    ),
    Case(
        "disk usage leaves out what is elsewhere",
        f"docker volume prune -af >/dev/null; docker volume create -o type=tmpfs -o device=tmpfs vd1 >/dev/null; docker run --rm -v vd2:/d {IMAGE} sh -c 'head -c 5000 /dev/zero > /d/f'; docker system df -v --format '{{{{range .Volumes}}}}{{{{.Name}}}} {{{{.Size}}}} {{{{.Links}}}}{{{{end}}}}'; docker volume rm vd1 vd2",
    ),
    Case(
        "events",
        f"S=$(date +%s.%N); docker volume create ve1 >/dev/null; docker run --name ve1 -v ve1:/a:ro -v /b {IMAGE} true; docker rm -v ve1 >/dev/null; docker volume rm ve1 >/dev/null; docker events --since $S --until $(date +%s.%N) --filter type=volume --format '{{{{.Action}}}} {{{{len .Actor.ID}}}} {{{{json .Actor.Attributes}}}}' | sort",
    ),
    Case(
        "anonymous volumes go with the container, those of others and named ones stay",
        f"docker create --name va1 -v va1:/a -v /b {IMAGE} true >/dev/null; docker create --name va2 --volumes-from va1 {IMAGE} true >/dev/null; docker rm -v va1; docker volume ls -q --filter dangling=false | grep -c '^[0-9a-f]*$'; docker rm -v va2; docker volume ls -q --filter name=va1; docker volume ls -q --filter dangling=true | grep -c '^[0-9a-f]*$'; docker volume rm va1",
    ),
]
CASES = [*OPTIONS, *LIFE]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_volumes_are_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
