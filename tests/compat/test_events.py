# SPDX-License-Identifier: Apache-2.0
"""One life of containers, images and volumes: dockerd and Holdfast tell the same of it, whatever filter asks.

Counts are compared for what is done once by name; probes, kills by the kernel and mounts for the daemon's own sake are
compared as kinds. Order is not compared: Holdfast reports an exit before it takes the network down, dockerd after.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
LIFE = rf"""
docker run --name ev-a -d -l a=b -v ev-v:/v -v /anonymous --health-cmd true --health-interval 200ms {IMAGE} \
  sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
until [ $(docker inspect -f '{{{{.State.Health.Status}}}}' ev-a) = healthy ]; do sleep 0.1; done
docker exec ev-a echo x; docker exec -d ev-a sleep 0.1; docker exec ev-a nosuch
docker pause ev-a; docker unpause ev-a; docker top ev-a
docker rename ev-a ev-b
docker update -m 100m --memory-swap 200m ev-b
docker cp ev-b:/etc/passwd passwd; docker cp passwd ev-b:/tmp/
docker export -o tree ev-b; docker commit -m said ev-b ev-image
curl -s -X POST --unix-socket $SOCKET "http://d/containers/ev-b/resize?h=10&w=20"
docker kill -s USR1 ev-b; docker restart -t 1 ev-b; docker stop -t 1 ev-b; docker rm -v ev-b
docker run --rm --name ev-c {IMAGE} sh -c 'exit 4'
docker run --name ev-d {IMAGE} nosuch; docker rm ev-d
docker create --name ev-e {IMAGE}; docker container prune -f --filter label=nosuch; docker rm ev-e
docker run --name ev-f -m 10m --memory-swap 10m {IMAGE} sh -c 'x=$(head -c 60000000 /dev/zero | tr "\0" a)'; docker rm ev-f
docker run -d --name ev-g --restart on-failure:1 {IMAGE} false; docker wait ev-g
until [ $(docker inspect -f '{{{{.State.Status}}}} {{{{.RestartCount}}}}' ev-g | tr ' ' -) = exited-1 ]; do sleep 0.1; done
docker rm -f ev-g
docker run -d --name ev-h {IMAGE} sleep 100; docker rm -f ev-h
docker run -d --name ev-i {IMAGE} sleep 100; docker kill ev-i; docker rm ev-i
docker tag {IMAGE} ev-tag:1; docker rmi ev-tag:1; docker rmi ev-image
docker save -o saved {IMAGE}; docker load -i saved
docker volume rm ev-v; docker volume create ev-w; docker volume rm ev-w
docker volume prune -f --filter label=nosuch; docker image prune -f --filter label=nosuch
curl -s -X POST --unix-socket $SOCKET http://d/build/prune
docker run -d --name ev-j -it {IMAGE} sh; timeout 5 docker attach --no-stdin ev-j & sleep 0.4; docker rm -f ev-j; wait
docker run -d --name ev-k -it {IMAGE} cat
type() {{ (printf "POST $1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
  printf "Content-Length: ${{#2}}\r\n\r\n$2"; sleep 0.4; printf x; sleep 0.4) | timeout 5 socat -t 1 - UNIX:$SOCKET; }}
type "/containers/ev-k/attach?stream=1&stdin=1&stdout=1&detachKeys=x" ""
docker rm -f ev-k
"""
FILTERS = (
    "",
    "container=ev-c",
    "event=die",
    "event=exec_create",
    "event=health_status",
    "event=stop,event=kill",
    "type=volume",
    "type=image,event=tag",
    "type=builder",
    "label=a=b",
    "label=a",
    "label=nosuch",
    f"image={IMAGE}",
    "image=busybox",
    "image=ev-tag:1",
    "volume=ev-w",
    "network=bridge",
    "scope=local",
    "scope=swarm",
    "daemon=nosuch",
    "container=nosuch",
)
_UNCOUNTED = re.compile(r"(exec_die|exec_create|exec_start|health_status|oom|mount|unmount|disconnect|resize)\b")


def told(daemon: Daemon, begin: str, end: str, filters: str) -> Counter[str]:
    """The events of a time as comparable lines, counted."""
    flags = " ".join(f"--filter {each}" for each in filters.split(",") if each)
    done = daemon.sh(f"docker events --since {begin} --until {end} {flags} --format '{{{{json .}}}}'")
    assert done.returncode == 0, done.stderr
    found: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        event = json.loads(line)
        attributes = event["Actor"]["Attributes"]
        if event["Action"].startswith(("exec_", "health_status")) and attributes["name"] == "ev-b":
            continue  # whether a probe runs after the rename is chance
        for name in ("execDuration", "execID", "container", "imageID"):
            if name in attributes:
                attributes[name] = f"<{name}>"
        members = sorted(name for name in event if name not in ("Actor", "time", "timeNano"))
        text = f"{event['Type']} {event['Action']} {event['Actor']['ID']} {json.dumps(attributes, sort_keys=True)} {members}"
        found[re.sub(r"[0-9a-f]{64}", "<id>", text)] += 1
    for text in found:
        if _UNCOUNTED.search(text):
            found[text] = 1
    return found


@pytest.fixture(scope="module")
def lives(
    dockerd: Daemon, holdfastd: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Daemon, str, str]]:
    found: list[tuple[Daemon, str, str]] = []
    for daemon in (dockerd, holdfastd):
        folder = tmp_path_factory.mktemp(daemon.name)
        done = daemon.sh(f"date +%s.%N; exec >/dev/null; {LIFE}", timeout=100, folder=folder)
        found.append((daemon, done.stdout.strip(), daemon.sh("sleep 0.3; date +%s.%N").stdout.strip()))
    return found


@pytest.mark.parametrize("filters", FILTERS)
def test_both_tell_the_same(filters: str, lives: list[tuple[Daemon, str, str]]) -> None:
    theirs, ours = (told(daemon, begin, end, filters) for daemon, begin, end in lives)

    assert sorted((theirs - ours).items()) == []
    assert sorted((ours - theirs).items()) == []


def test_the_life_had_every_kind_of_event(lives: list[tuple[Daemon, str, str]]) -> None:
    kinds = {tuple(line.split(" ", 2)[:2]) for line in told(*lives[1], "")}
    verbs = {action.rstrip(":") for kind, action in kinds if kind == "container"}

    expected = "create attach detach start die kill stop oom pause unpause rename resize restart update top exec_create"
    expected += " exec_start exec_die export commit archive-path extract-to-dir health_status destroy prune"
    assert verbs >= set(expected.split())
    assert {action for kind, action in kinds if kind == "volume"} >= {"create", "mount", "unmount", "destroy", "prune"}


def test_keys_that_leave_an_exec_leave_it_running(holdfastd: Daemon) -> None:
    """dockerd 28.5 takes them for an error of the exec, which then has ended with 126."""
    script = rf"""
docker run -d --name ev-x {IMAGE} sleep 100 >/dev/null; begin=$(date +%s.%N)
wish='{{"Cmd":["cat"],"Tty":true,"AttachStdin":true,"AttachStdout":true,"DetachKeys":"x"}}'
exec_id=$(curl -s -H Content-Type:application/json -d "$wish" --unix-socket $SOCKET http://d/containers/ev-x/exec | cut -d'"' -f4)
(printf 'POST /exec/%s/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n' $exec_id
 printf 'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}'; sleep 0.4; printf x; sleep 0.2) |
  timeout 5 socat -t 1 - UNIX:$SOCKET >/dev/null
curl -s --unix-socket $SOCKET http://d/exec/$exec_id/json | grep -o '"Running":[a-z]*\|"DetachKeys":"[^"]*"'
docker rm -f ev-x >/dev/null
docker events --since $begin --until $(date +%s.%N) --filter event=exec_detach --format '{{{{.Action}}}}'
"""

    done = holdfastd.sh(script)

    assert done.stdout.split() == ['"Running":true', '"DetachKeys":"eA=="', "exec_detach"], done.stdout + done.stderr


SPANS = r"""
docker create --name ev-z IMAGE >created; docker rm ev-z >removed
sleep 1.1
now=$(date +%s)
for span in "until=$now" "since=0&until=$now" "since=$((now - 30)).5&until=$now.25" "until=0" "until=$((now - 3600))" \
    "since=$((now + 1))&until=$now" "since=bad" "until=bad"; do
  curl -s -m 5 --unix-socket $SOCKET "http://d/events?$span&filters=%7B%22container%22%3A%5B%22ev-z%22%5D%7D" |
    jq -r '.Action // .message'
  echo "${span//[0-9]/N}"
done
docker events --until 0s --filter container=ev-z --format '{{.Action}}'
""".replace("IMAGE", IMAGE)


def test_spans_of_time(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    shown = [re.sub(r"\d{10}", "N", daemon.sh(SPANS, folder=tmp_path).stdout) for daemon in (dockerd, holdfastd)]

    assert shown[0] == shown[1]
    assert "create\ndestroy\nuntil=N\n" in shown[1]
    assert shown[1].endswith("create\ndestroy\n")


RELOAD = """
begin=$(date +%s.%N); kill -HUP $(cat $(dirname $SOCKET)/docker.pid $(dirname $SOCKET)/pid 2>/dev/null)
until docker events --since $begin --until $(date +%s.%N) --filter event=reload --format json | grep .; do sleep 0.1; done
"""


def test_a_reload_tells_the_options_that_it_reads(spoilt_dockerd: Daemon, holdfastd: Daemon) -> None:
    """Only the default runtime has another name, and containers outlive our daemon without being asked to."""
    theirs, ours = (json.loads(daemon.sh(RELOAD).stdout.splitlines()[0]) for daemon in (spoilt_dockerd, holdfastd))
    differing = {"default-runtime", "live-restore"}
    told = [{k: v for k, v in each["Actor"]["Attributes"].items() if k not in differing} for each in (theirs, ours)]

    assert told[0] == told[1]
    assert ours["Actor"]["Attributes"].keys() >= differing
    assert (ours["Type"], ours["Action"], ours["scope"]) == (theirs["Type"], theirs["Action"], theirs["scope"])
