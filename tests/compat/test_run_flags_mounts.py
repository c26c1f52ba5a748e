# SPDX-License-Identifier: Apache-2.0
"""The flags of `docker run` that put something of the host into a container, seen from inside, on both daemons."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare

IMAGE = "busybox:1.37.0-musl"
ALPINE = "alpine:3.20"
RUN = "docker run --rm"
HIDE = "sed \"s#$(docker info -f '{{.DockerRootDir}}')#ROOT#g\""
EXPERIMENTAL = Difference(r"^WARNING: Image mount is an experimental feature\n", "", "it is no experiment here")

VOLUME_FLAG = [
    Case(
        "-v in its forms",
        f"mkdir dir; {RUN} -v $PWD/dir:/x -v fm1:/y:ro -v /z --name fm1 {IMAGE} sh -c \"touch /x/f; touch /y/f; touch /z/f; ls /x /y /z; grep -c ' /z ' /proc/self/mountinfo\"; ls dir; docker volume rm fm1",
        flags=("--volume",),
    ),
    Case(
        "a missing source is made",
        f"{RUN} -v $PWD/new/deep:/x {IMAGE} ls -d /x; stat -c '%a %U' new/deep",
        flags=("--volume",),
    ),
    Case(
        "a file",
        f"echo text > file; {RUN} -v $PWD/file:/x {IMAGE} cat /x; {RUN} -v $PWD/file:/bin {IMAGE} true 2>&1 | grep -o 'Are you trying to mount a directory onto a file'",
    ),
    Case(
        "modes",
        f"mkdir d; for m in ro rw z Z ro,z cached ro,delegated consistent nocopy private rprivate bogus ro,rw z,Z rro ro, ro,ro shared slave; do echo $m; {RUN} -v $PWD/d:/x:$m {IMAGE} grep -o ' /x [a-z]*' /proc/self/mountinfo 2>&1 | sed \"s#$PWD#PWD#\" | head -1; done",
    ),
    Case(
        "copy-up of what the image has, with owners and modes",
        f"{RUN} -v fc1:/etc {ALPINE} sh -c 'stat -c \"%a %u:%g\" /etc /etc/shadow /etc/periodic; ls -l /etc | wc -l'; {RUN} -v fc1:/x {ALPINE} stat -c '%a %u:%g' /x /x/shadow; {RUN} -v fc2:/etc:nocopy {ALPINE} ls /etc; {RUN} -v fc1:/var {ALPINE} ls -d /var/passwd /var/lib; docker volume rm fc1 fc2",
    ),
    Case(
        "the daemon's own files",
        "R=$(docker info -f '{{.DockerRootDir}}'); for v in $R:/x $R/containers:/x $R:/x:rshared /:/x; do "
        f"docker create --name fr -v $v {IMAGE} true >/dev/null; docker inspect fr -f '{{{{(index .Mounts 0).Propagation}}}}'; docker rm fr; done; "
        f"(docker create -v $R:/x:private {IMAGE}; docker create --mount type=bind,src=/,dst=/x,bind-propagation=slave {IMAGE}) 2>&1 | {HIDE}; "
        f"{RUN} -v $R:/x:ro {IMAGE} ls /x | grep containers; {RUN} -v /:/x:ro {IMAGE} ls -d /x/etc",
    ),
    Case(
        "one destination twice",
        f"{RUN} -v /tmp:/x -v fx1:/x/ {IMAGE} true; docker volume rm -f fx1 >/dev/null; {RUN} -v /tmp:/x --tmpfs /x {IMAGE} true; {RUN} --mount type=bind,src=/tmp,dst=/x -v /tmp:/x {IMAGE} true",
        is_error=True,
    ),
    Case(
        "wrong texts",
        f"for v in :/x /x: x /tmp:x a:b:c:d /tmp:/ /tmp:/.. a:/x ./x:/x; do {RUN} -v $v {IMAGE} ls -d /x; done; rmdir x",
        is_error=True,
    ),
    Case(
        "a volume driver",
        f"{RUN} --volume-driver local -v fd1:/x {IMAGE} ls -d /x; docker create --name fd2 --volume-driver local -v /x {IMAGE} true >/dev/null; docker inspect fd2 -f '{{{{.HostConfig.VolumeDriver}}}} {{{{(index .Mounts 0).Driver}}}}'; docker rm -v fd2; docker volume rm fd1",
        flags=("--volume-driver",),
    ),
    Case(
        "an image whose volume climbs",
        f"""printf 'FROM {IMAGE}' >/dev/null; docker create --name fi1 {IMAGE} true >/dev/null; docker commit -c 'VOLUME ["/../../../etc/x"]' fi1 fi:1 >/dev/null; {RUN} fi:1 sh -c "grep -c ' /etc/x ' /proc/self/mountinfo"; ls -d /etc/x; docker rm fi1; docker rmi -f fi:1 >/dev/null""",
    ),
]
MOUNT_FLAG = [
    Case(
        "bind",
        f'mkdir d; {RUN} --mount type=bind,src=$PWD/d,dst=/x,readonly {IMAGE} touch /x/f; {RUN} --mount type=bind,src=$PWD/none,dst=/x {IMAGE} true 2>&1 | sed "s#$PWD#PWD#"; {RUN} --mount type=bind,src=d,dst=/x {IMAGE} true; {RUN} --mount type=bind,src=./d,dst=/x {IMAGE} ls -d /x',
        flags=("--mount",),
    ),
    Case(
        "how far read-only goes",
        f'for r in enabled disabled writable readonly,bind-propagation=rprivate; do {RUN} --mount type=bind,src=/sys,dst=/x,readonly,bind-recursive=$r {IMAGE} awk \'$5 ~ "^/x" {{split($6, w, ","); print w[1]}}\' /proc/self/mountinfo | sort | uniq -c; done; {RUN} -v /sys:/x:ro {IMAGE} awk \'$5 ~ "^/x" {{split($6, w, ","); print w[1]}}\' /proc/self/mountinfo | sort -u',
        flags=("--mount", "--volume"),
    ),
    Case(
        "volume",
        f"{RUN} --mount type=volume,src=fv1,dst=/x,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=1m {IMAGE} sh -c \"grep ' /x ' /proc/mounts\"; docker volume inspect fv1 -f '{{{{json .Labels}}}} {{{{json .Options}}}}'; {RUN} --mount type=volume,src=fv2,dst=/etc,volume-nocopy {ALPINE} ls /etc; {RUN} --mount dst=/x {IMAGE} touch /x/f; docker volume rm fv1 fv2",
        flags=("--mount",),
    ),
    Case(
        "a part of a volume",
        f"{RUN} -v fs1:/x {IMAGE} sh -c 'mkdir -p /x/sub/deep; echo text > /x/sub/f; ln -s /etc /x/away; ln -s ../.. /x/up; ln -s sub /x/in'; for p in sub sub/f in . sub/../sub away up none ../x /x; do echo $p; {RUN} --mount type=volume,src=fs1,dst=/y,volume-subpath=$p {IMAGE} ls /y 2>&1 | {HIDE} | head -1; done; docker volume rm fs1",
        flags=("--mount",),
    ),
    Case(
        "image",
        f"{RUN} --mount type=image,src={ALPINE},dst=/x {IMAGE} sh -c 'cat /x/etc/alpine-release; touch /x/new'; {RUN} --mount type=image,src={ALPINE},dst=/x,image-subpath=etc/alpine-release {IMAGE} cat /x; for p in bin/sh none ../x; do {RUN} --mount type=image,src={ALPINE},dst=/x,image-subpath=$p {IMAGE} true 2>&1 | grep -o -e 'path concatenation escapes the base directory' -e 'no such file or directory' -e 'subpath must be a relative path within the volume' | head -1; done; {RUN} --pull never --mount type=image,src=nosuch,dst=/x {IMAGE} true; {RUN} --mount type=image,dst=/x {IMAGE} true",
        differs=(EXPERIMENTAL,),
        flags=("--mount",),
    ),
    Case(
        "an image in use",
        f"docker create --name fi1 {ALPINE} >/dev/null; id=$(docker commit fi1 fi:2); docker rm fi1; docker create --name fi2 --mount type=image,src=fi:2,dst=/x {IMAGE} cat /x/etc/alpine-release >/dev/null; docker inspect fi2 -f '{{{{range .Mounts}}}}{{{{.Type}}}} {{{{.Name}}}} {{{{.RW}}}} {{{{.Propagation}}}}{{{{end}}}}'; docker rmi fi:2; docker rmi -f fi:2 | grep -v sha256; docker start -a fi2; docker cp fi2:/x/etc/alpine-release - | tar -xO; docker rm fi2; docker rmi $id | grep -c Deleted",
        differs=(EXPERIMENTAL,),
    ),
    Case(
        "wrong mounts",
        f"cd /; for m in type=bogus,dst=/x type=cluster,src=x,dst=/x type=bind,dst=/x type=volume,dst=x type=tmpfs,src=/x,dst=/x type=volume,dst=/ type=volume,dst=/x,readonly type=bind,src=/tmp,dst=/x,bind-propagation=rshared; do {RUN} --mount $m {IMAGE} true; done",
    ),
    Case(
        "type=tmpfs",
        f"{RUN} --mount type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770 {IMAGE} sh -c \"grep ' /x ' /proc/mounts; stat -c %a /x\"; {RUN} --mount type=tmpfs,dst=/x,readonly {IMAGE} touch /x/f; docker create --name ft1 --mount type=tmpfs,dst=/x {IMAGE} >/dev/null; docker inspect ft1 -f '{{{{json .Mounts}}}} {{{{json .HostConfig.Mounts}}}}'; docker rm ft1",
        flags=("--mount",),
    ),
]
OTHERS = [
    Case(
        "working directories that cannot be made",
        f"long=$(printf 'x%.0s' $(seq 300)); for w in /$long /etc/passwd /etc/passwd/x; do docker create --name ow1 -w $w {IMAGE} true >/dev/null 2>&1 && echo made; docker rm ow1 >/dev/null 2>&1; done; {RUN} -w /deep/er {IMAGE} pwd",
    ),
    Case(
        "destinations too long for a file system",
        f"long=$(printf 'x%.0s' $(seq 300)); docker create --name ol1 -v ol1:/$long {IMAGE} true >/dev/null 2>&1; docker start ol1 2>/dev/null && echo started; docker rm ol1 >/dev/null 2>&1; docker volume rm ol1 >/dev/null 2>&1",
        is_error=True,
    ),
    Case(
        "--tmpfs",
        f"{RUN} --tmpfs /x --tmpfs /y:size=1m,mode=711,uid=3,exec {IMAGE} sh -c \"grep -e ' /x ' -e ' /y ' /proc/mounts | sort; stat -c '%a %u' /x /y\"; {RUN} --tmpfs /tmp {IMAGE} stat -c %a /tmp; {RUN} --tmpfs /x:bogus {IMAGE} true; {RUN} --tmpfs x {IMAGE} true; {RUN} --tmpfs / {IMAGE} true",
        flags=("--tmpfs",),
        is_error=True,
    ),
    Case(
        "--volumes-from",
        f"mkdir d; docker create --name fo1 -v fo1:/a -v /b -v $PWD/d:/c:ro {IMAGE} true >/dev/null; for f in fo1 fo1:ro fo1:rw fo1:z; do {RUN} --volumes-from $f {IMAGE} sh -c 'for p in a b c; do touch /$p/f 2>/dev/null && echo $p writable || echo $p not; done'; done; {RUN} --volumes-from fo1:bogus {IMAGE} true; {RUN} --volumes-from nosuch {IMAGE} true; docker create --name fo2 --volumes-from fo1:ro -v $PWD/d:/a {IMAGE} true >/dev/null; docker inspect fo2 -f '{{{{range .Mounts}}}}{{{{.Type}}}} {{{{.Destination}}}} {{{{.Mode}}}} {{{{.RW}}}} {{{{.Propagation}}}}{{{{println}}}}{{{{end}}}}' | sort; docker rm -v fo1 fo2; docker volume rm fo1",
        flags=("--volumes-from",),
    ),
]
CASES = [*VOLUME_FLAG, *MOUNT_FLAG, *OTHERS]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_mounts_act_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


def test_other_owners_by_an_id_map_are_ours_alone(holdfastd: Daemon, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o777)
    (tmp_path / "d").chmod(0o777)
    script = f"""chown 1000:1000 d
    docker run --rm -v $PWD/d:/d:idmap=1000-0-1 {IMAGE} sh -c 'stat -c "%u %g" /d; touch /d/f'
    stat -c '%u %g' d/f
    docker run --name plain -v $PWD/d:/d:idmap {IMAGE} true; echo $?
    docker inspect plain"""

    done = holdfastd.sh(script, folder=tmp_path)

    assert done.stdout.split("\n")[:3] == ["0 0", "1000 1000", "125"]
    assert "the mount at /d is to have the id map of the container's user namespace" in done.stderr
    assert "o such object: plain" in done.stderr
