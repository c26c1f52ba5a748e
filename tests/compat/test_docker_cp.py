# SPDX-License-Identifier: Apache-2.0
"""cp, diff, export, commit, stats, system df: the docker CLI and docker-py say the same against dockerd and Holdfast."""

import subprocess
import sys
from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
RUN = f"docker run -d --name cc -v vv:/vol {IMAGE} sleep 1000 >/dev/null"
END = "docker rm -f cc >/dev/null; docker volume rm vv >/dev/null"
TREE = "mkdir -p d/sub; echo 1 > d/a; echo 2 > d/sub/b; ln -s a d/l; ln -s d dl; echo f > f"
API = 'api() { curl -s -w " %{http_code}\\n" --unix-socket $SOCKET "$@"; }'
PUT = f'{API}; put() {{ api -T $1 "http://d/v1.50/containers/cc/archive?$2"; }}'

CASES = [
    Case(
        "cp into a running one",
        f"{RUN}; {TREE}; for a in 'f cc:/tmp' 'f cc:/tmp/g' 'd cc:/tmp' 'd cc:/tmp/new' 'd/. cc:/tmp/cont' 'd/. cc:/tmp' 'dl cc:/tmp' '-L dl cc:/tmp/viaL' 'dl/ cc:/tmp/sl' 'f cc:tmp/rel' 'f cc:/vol/'; do docker cp $a; echo $?; done; docker exec cc sh -c 'cd /; find tmp vol | sort; ls -l tmp | cut -c1-11'; {END}",
    ),
    Case(
        "cp into a stopped one",
        f"docker create --name cc -v vv:/vol {IMAGE} ls -R /tmp /vol >/dev/null; {TREE}; docker cp d cc:/tmp; docker cp f cc:/vol; docker cp f cc:/tmp/d/sub; docker start -a cc; {END}",
    ),
    Case(
        "cp what cannot be",
        f"{RUN}; {TREE}; for a in 'f cc:/nodir/x' 'nosuch cc:/' 'nope:/x .' 'f nope:/x' 'a b' 'cc:/a cc:/b' 'cc:/nosuch .'; do docker cp $a 2>err; echo $?; grep -v level=error err >&2; done; {END}",
    ),
    Case(
        "cp out",
        f"{RUN}; docker exec cc sh -c 'mkdir -p /data/s; echo x > /data/x; ln -s x /data/lx; ln /data/x /data/hx; chmod 700 /data/s; ln -s /data /dlink; echo v > /vol/v'; echo > f; for a in 'cc:/data .' 'cc:/data newname' 'cc:/data/. content' 'cc:/data/x .' 'cc:/data/x y' 'cc:/data/x nodir/' 'cc:/data/x nodir/q' 'cc:/data f' 'cc:/data/lx .' '-L cc:/data/lx lx2' 'cc:/dlink .' 'cc:/dlink/ dd' 'cc:/vol vol' 'cc:/etc/hostname .' 'cc:/proc pr'; do docker cp $a; echo $?; done; find . | sort; cat lx2 vol/v; stat -c '%a %N' data/s newname/lx; docker cp cc:/data - | tar tv | cut -c1-20; {END}",
    ),
    Case(
        "cp out of a stopped one",
        f"docker run --name cc -v vv:/vol {IMAGE} sh -c 'echo x > /made; echo y > /vol/inside'; docker cp cc:/made .; docker cp cc:/vol/inside .; cat made inside; {END}",
    ),
    Case(
        "tars through stdin",
        f"{RUN}; {TREE}; tar -c f d | docker cp - cc:/tmp; tar -c f | docker cp - cc:/tmp/f; tar -cz d | docker cp - cc:/vol; docker exec cc find /tmp /vol | sort; {END}",
    ),
    Case(
        "owners",
        f"docker run -d --name cc -u 1000:7 -v vv:/vol {IMAGE} sleep 1000 >/dev/null; echo x > f; chown 1234:55 f; docker cp f cc:/tmp/a; docker cp -a f cc:/tmp/b; docker exec cc ls -ln /tmp | awk '{{print $3,$4,$NF}}'; {END}",
    ),
    Case(
        "what stands at a path",
        f"{API}; {RUN}; for p in /etc/passwd /etc/passwd/x /nosuch /etc/ / . etc /bin /bin/ls; do curl -sI --unix-socket $SOCKET \"http://d/v1.50/containers/cc/archive?path=$p\" | tr -d '\\r' | awk 'tolower($1)==\"x-docker-container-path-stat:\"{{print $2}}' | base64 -d | jq -c '[.name,.mode,.linkTarget]'; done; api http://d/v1.50/containers/cc/archive?path=; api http://d/v1.50/containers/cc/archive?path=/nosuch; {END}",
    ),
    Case(
        "names in the archive",
        f'{RUN}; docker exec cc sh -c \'mkdir -p /q/r; touch /q/r/s\'; for p in /q /q/ /q/. /q/./ ./ /./ /q/r/../r /q/r/s /; do curl -s --unix-socket $SOCKET "http://d/v1.50/containers/cc/archive?path=$p" | tar t 2>/dev/null | grep q; curl -s --unix-socket $SOCKET "http://d/v1.50/containers/cc/archive?path=$p" | tar t 2>/dev/null | head -1; done; {END}',
    ),
    Case(
        "where nothing may be written",
        f"{PUT}; docker run -d --name cc --read-only -v vv:/vol -v /tmp:/ro:ro {IMAGE} sleep 1000 >/dev/null; echo x > f; tar -cf f.tar f; put f.tar path=/tmp; put f.tar path=/ro; put f.tar path=/vol; put f.tar path=/nosuch; put f.tar path=/etc/passwd; docker exec cc ls /vol; {END}",
    ),
    Case(
        "compressions, none of them by a program of the container",
        f"{PUT}; {RUN}; docker exec cc sh -c 'for i in xz unxz unpigz pigz bzip2 gzip zstd; do printf \"#!/bin/sh\\ntouch /RAN\\n\" > /bin/$i; chmod +x /bin/$i; done'; for k in gzip xz bzip2; do echo $k > $k; tar -c $k | $k > f.tar; put f.tar path=/tmp; done; docker exec cc ls / /tmp | grep -E 'RAN|zip|xz'; {END}",
    ),
    Case(
        "kinds are kept",
        f"{PUT}; {RUN}; docker exec cc sh -c 'mkdir /tmp/x; touch /tmp/y'; touch x; tar -cf x.tar x; mkdir y; tar -cf y.tar y; put x.tar 'path=/tmp&noOverwriteDirNonDir=true' | cut -c1-80; put y.tar 'path=/tmp&noOverwriteDirNonDir=1' | cut -c1-80; put x.tar path=/tmp; put y.tar path=/tmp; docker exec cc ls -l /tmp | cut -c1-1; {END}",
        is_loose=True,
    ),
    Case(
        "diff",
        f"docker run --name cc -v vv:/mnt/deep --tmpfs /tt {IMAGE} sh -c 'echo x>/new; mkdir -p /d1/d2; echo y>/d1/d2/f; rm /etc/group; rm -r /usr; mkdir /usr; echo > /usr/q; chmod 700 /home; echo >> /etc/passwd; mv /etc/shadow /etc/s2; ln -s x /lnk; touch /var; mkdir -p /var/log/a; mkfifo /ff; echo > /root/z; rm /root/z'; docker diff cc | sort; docker diff nosuch; {END}",
    ),
    Case("diff of nothing", f"docker run --name cc {IMAGE} true; docker diff cc; docker rm cc"),
    Case(
        "export",
        f"docker run --name cc -v vv:/vol {IMAGE} sh -c 'echo x > /vol/hidden; mkdir /made; echo y > /made/f; ln /made/f /made/h; rm /bin/vi'; docker export cc | tar t | grep -v -E '^(.dockerenv|dev/|etc/(hosts|hostname|mtab|resolv.conf|group|passwd))' | sort | md5sum; docker export -o e.tar cc; tar tvf e.tar | grep made | awk '{{print $1,$6,$7,$8,$9}}'; docker export nosuch; {END}",
    ),
    Case(
        "commit and import with changes",
        f"docker create --name cc -e A=1 {IMAGE} >/dev/null; echo x > f; tar cf t f;"
        """ docker commit --change 'ENV PATH=$PATH:/x B="$A 2" C=${N:-n}' --change 'LABEL "a b"=$A' --change 'USER $A' cc cc >/dev/null;"""
        " docker image inspect -f '{{json .Config}}' cc; docker history --format '{{.ID}} {{.CreatedBy}}' cc;"
        " printf '# why\\nENV A=1 \\\\\\n B=2\\nWORKDIR /$A\\nCMD echo $A' > changes;"
        ' docker import --change "$(cat changes)" t cc:2 >/dev/null; docker image inspect -f "{{json .Config}}" cc:2;'
        " for c in 'CMD [\"a\", 1]' 'HEALTHCHECK NONE x' 'ENV =b' 'VOLUME' '# nothing'; do docker import --change \"$c\" t; done;"
        " docker rm cc >/dev/null; docker rmi cc cc:2 >/dev/null",
        is_error=True,
    ),
    Case(
        "commit keeps what a change leaves open",
        f"""docker create --name ckp -e X=1 -e Y=2 --health-cmd 'true a' --health-interval 7s {IMAGE} >/dev/null
        docker commit -c 'ENV Y=3 Z=4' -c 'HEALTHCHECK --retries=9 CMD false' ckp ckp:1 >/dev/null; docker image inspect ckp:1 -f '{{{{json .Config.Env}}}} {{{{json .Config.Healthcheck}}}}'
        curl -s --unix-socket $SOCKET -H 'Content-Type: application/json' -d '{{"Env":["Z=4","X=9"],"Healthcheck":{{"Retries":4}}}}' 'http://d/commit?container=ckp&repo=ckp&tag=2' | cut -c1-13
        docker image inspect ckp:2 -f '{{{{json .Config.Env}}}} {{{{json .Config.Healthcheck}}}}'; docker rm ckp; docker rmi ckp:1 ckp:2 | grep Untagged""",
    ),
    Case(
        "commit",
        f"docker run --name cc -e A=1 -w /w --label k=v {IMAGE} sh -c 'echo x > /made; rm /etc/group'; docker commit -a me -m words -c 'CMD [\"cat\",\"/made\"]' -c 'ENV B=2' cc made:1 | cut -c1-7; docker run --rm made:1; docker run --rm made:1 ls /etc/group; docker image inspect -f '{{{{json .Config.Cmd}}}} {{{{json .Config.Env}}}} {{{{json .Config.Labels}}}} {{{{.Config.WorkingDir}}}} {{{{.Author}}}} {{{{.Comment}}}}' made:1; docker history --format '{{{{.CreatedBy}}}} {{{{.Size}}}} {{{{.Comment}}}}' made:1 | head -1; docker rmi made:1 | wc -l; docker commit nosuch; docker commit cc BAD; docker commit -c 'RUN x' cc; docker rm cc",
        is_error=True,
    ),
    Case(
        "commit of a running one",
        f"{RUN}; docker exec cc sh -c 'echo 1 > /one'; docker commit cc made:2 >/dev/null; docker commit --pause=false cc made:3 >/dev/null; docker inspect -f '{{{{.State.Status}}}}' cc; docker run --rm made:2 cat /one; docker run --rm made:3 cat /one; docker rmi made:2 made:3 >/dev/null; {END}",
    ),
    Case(
        "events",
        f"docker run -d --name cc {IMAGE} sleep 1000 >/dev/null; sleep 1.1; S=$(date +%s); docker cp cc:/etc/passwd - >/dev/null; echo > f; docker cp f cc:/; docker export cc >/dev/null; docker commit -m m cc made:4 >/dev/null; docker events --since $S --until $(($(date +%s)+1)) --format '{{{{.Type}}}} {{{{.Action}}}} {{{{.Actor.Attributes.comment}}}} {{{{.Actor.Attributes.imageRef}}}}'; docker rmi made:4 >/dev/null; docker rm -f cc >/dev/null",
    ),
    Case(
        "stats",
        f"{RUN}; docker stats --no-stream --format '{{{{.Name}}}} {{{{.PIDs}}}}' cc; curl -s --unix-socket $SOCKET 'http://d/v1.50/containers/cc/stats?stream=0' | jq -c '[paths|map(tostring)|join(\".\")]'; curl -s --unix-socket $SOCKET 'http://d/v1.50/containers/cc/stats?stream=0&one-shot=1' | jq -c '.precpu_stats,.preread'; docker kill cc >/dev/null; docker wait cc >/dev/null; curl -s --unix-socket $SOCKET 'http://d/v1.50/containers/cc/stats?stream=0' | jq -c 'del(.id)'; curl -s --unix-socket $SOCKET 'http://d/v1.50/containers/cc/stats?stream=1&one-shot=1'; docker stats --no-stream nosuch; {END}",
    ),
    Case(
        "system df",
        f"{RUN}; docker exec cc sh -c 'echo 12345 > /vol/five; echo 123 > /three'; docker system df --format '{{{{.Type}}}} {{{{.Size}}}} {{{{.Active}}}}' | grep -E 'Containers|Volumes'; curl -s --unix-socket $SOCKET http://d/v1.50/system/df | jq -c 'keys,(.Volumes[]|select(.Name==\"vv\").UsageData),(.Containers[]|select(.Names[0]==\"/cc\")|.SizeRw)'; curl -s --unix-socket $SOCKET 'http://d/v1.50/system/df?type=volume' | jq -c '[.Images,.BuildCache]'; curl -s --unix-socket $SOCKET 'http://d/v1.50/system/df?type=nope'; {END}",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_docker_says_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


DOCKER_PY = f"""
import docker, io, json, tarfile
client = docker.from_env()
container = client.containers.run("{IMAGE}", "sleep 1000", detach=True)
data = io.BytesIO()
with tarfile.open(fileobj=data, mode="w") as tar:
    info = tarfile.TarInfo("hello"); info.size = 5; tar.addfile(info, io.BytesIO(b"world"))
print(container.put_archive("/tmp", data.getvalue()))
pieces, stat = container.get_archive("/tmp/hello")
stat.pop("mtime"); print(stat)
with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
    print(tar.getnames(), tar.extractfile("hello").read())
print(container.diff())
print(sorted(container.stats(stream=False)))
first = next(container.stats(decode=True)); print(first["name"] == "/" + container.name)
with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
    print("tmp/hello" in tar.getnames())
image = container.commit("pycommit", "t", message="m", author="a", conf={{"Cmd": ["x"]}})
print(image.tags, image.attrs["Config"]["Cmd"], image.attrs["Author"])
client.images.remove(image.id, force=True)
print(sorted(client.df()))
try:
    container.get_archive("/nosuch")
except docker.errors.NotFound as error:
    print(error.status_code, error.explanation.replace(container.id, "ID"))
container.remove(force=True)
"""


def test_docker_py_says_the_same(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(DOCKER_PY)
    answers = [daemon.sh(f"{sys.executable} {script}") for daemon in (dockerd, holdfastd)]

    assert answers[1].returncode == 0, answers[1].stderr
    assert answers[1].stdout == answers[0].stdout


def test_a_hundred_copies_from_a_container_that_renames(holdfastd: Daemon, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (canary / "sub").mkdir(parents=True)
    (canary / "sub/secret").write_text("the canary's secret")
    swap = f"mkdir -p /a/b/sub; echo own > /a/b/sub/secret; ln -s {canary} /a/l; ln -s ../../../../../../..{canary} /a/m; while :; do mv /a/b /a/t; mv /a/l /a/b; mv /a/b /a/l; mv /a/t /a/b; done"
    holdfastd.sh(f"docker run -d --name race {IMAGE} sh -c '{swap}'")
    (tmp_path / "evil").write_text("evil")
    script = "tar -cf e.tar evil; for i in $(seq 50); do curl -s --unix-socket $SOCKET 'http://d/v1.50/containers/race/archive?path=/a/b/sub/secret'; curl -s --unix-socket $SOCKET -T e.tar 'http://d/v1.50/containers/race/archive?path=/a/b/sub'; done"

    done = subprocess.run(
        ["bash", "-c", script],
        env={"SOCKET": str(holdfastd.socket), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    holdfastd.sh("docker rm -f race")

    assert b"own" in done.stdout
    assert b"canary's" not in done.stdout
    assert [str(path.relative_to(canary)) for path in sorted(canary.rglob("*"))] == ["sub", "sub/secret"]
