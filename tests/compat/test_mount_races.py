# SPDX-License-Identifier: Apache-2.0
"""Two real containers share a volume and one of them cheats while the other is started, two hundred times."""

from pathlib import Path

from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
# one process that swaps a directory and a link to the host's root as fast as a shell can
SWAP = "cd /v; ln -s / link; while :; do mkdir -p d/sub; mv d x; mv link d; mv d link; mv x d; done 2>/dev/null"
STARTS = 200


def test_cve_2021_30465_a_mount_target_swapped_during_two_hundred_starts(holdfastd: Daemon, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("untouched")
    script = f"""
docker run -d --cpus 0.6 --name race-swap -v race:/v {IMAGE} sh -c '{SWAP}' >/dev/null
docker create --name race-start -v race:/v -v {canary}:/v/d/sub {IMAGE} true >/dev/null
for i in $(seq {STARTS}); do
    curl -s -o /dev/null -w '%{{http_code}}\\n' --unix-socket $SOCKET -X POST http://d/containers/race-start/start
    curl -s -o /dev/null --unix-socket $SOCKET -X POST http://d/containers/race-start/wait
done | sort | uniq -c
docker rm -f race-swap race-start >/dev/null
docker volume rm race >/dev/null
ls -d /sub /d /v 2>/dev/null
grep -c {canary} /proc/self/mountinfo
"""
    done = holdfastd.sh(script, timeout=180)

    *codes, mounts = done.stdout.splitlines()
    counted = {line.split()[1]: int(line.split()[0]) for line in codes}
    assert sum(counted.values()) == STARTS, done.stdout + done.stderr
    assert set(counted) <= {"204", "400", "500"}, counted  # a start that hits the wrong moment may fail, never escape
    assert counted["204"] > 0
    assert mounts == "0"
    assert [path.name for path in canary.iterdir()] == ["file"]


def test_a_subpath_swapped_during_starts_shows_the_volume_only(holdfastd: Daemon, tmp_path: Path) -> None:
    script = f"""
docker run -d --name race-sub -v racesub:/v {IMAGE} sh -c '{SWAP}' >/dev/null
docker create --name race-look --mount type=volume,src=racesub,dst=/y,volume-subpath=d {IMAGE} sh -c 'ls /y | grep -e proc -e etc || true' >/dev/null 2>&1
for i in $(seq 60); do
    curl -s -o /dev/null --unix-socket $SOCKET -X POST http://d/containers/race-look/start
    curl -s -o /dev/null --unix-socket $SOCKET -X POST http://d/containers/race-look/wait
done
docker logs race-look
docker rm -f race-sub race-look >/dev/null
docker volume rm racesub >/dev/null
"""
    done = holdfastd.sh(script, timeout=120)

    assert done.stdout == "", done.stdout
