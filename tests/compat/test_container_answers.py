# SPDX-License-Identifier: Apache-2.0
"""What the API answers about containers in odd states, to older clients and to broken requests: dockerd's words and ours.

Where the docker CLI would not send the request at all, curl does.
"""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare

IMAGE = "busybox:1.37.0-musl"
ASK = 'ask() { curl -s --unix-socket "$SOCKET" -H "Content-Type: application/json" -w " %{http_code}\\n" -X "$@"; }; '
EXEC = (
    "run() { ask POST http://d/containers/$1/exec -d \"$2\" | grep -oE '[0-9a-f]{64}' > exec; "
    'ask POST http://d/exec/$(cat exec)/start -d "{\\"Detach\\":true}"; }; '
    "resize() { ask POST \"http://d/exec/$(cat exec)/resize?h=10&w=20\" | sed -E 's/[0-9a-f]{64}/ID/'; }; "
)
HEALTH_OUTPUT = (
    "for i in $(seq 60); do docker inspect -f '{{len .State.Health.Log}}' ans | grep -q 0 || break; sleep 0.1; done; "
    "docker inspect -f '{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}' ans | cut -c1-60,4090-; docker rm -f ans"
)


def slow_check(command: str) -> str:
    return f"docker run -d --name ans --health-cmd '{command}' --health-interval 100ms --health-timeout 700ms {IMAGE} sleep 100 >/dev/null; "


def broken(body: str) -> str:
    return f"ask POST http://d/containers/create -d '{body}'; "


CASES = [
    Case("a resize to less than nothing", ASK + f"docker run -dt --name ans {IMAGE} sleep 100 >/dev/null; "
         + "".join(f"ask POST 'http://d/containers/ans/resize?{query}'; " for query in ("h=-100&w=5", "h=5&w=-1", "h=99999999999999999999&w=5", "h=x&w=5", "h=-x&w=1", "h=-&w=1", "w=5", "h=7")) + "docker rm -f ans"),
    Case("a resize of an exec whose container has ended, and of one that has ended itself", ASK + EXEC
         + f"docker run -d --name ans {IMAGE} sleep 100 >/dev/null; run ans '{{\"Cmd\":[\"sleep\",\"100\"]}}'; docker kill ans; resize; docker start ans; resize; "
         "run ans '{\"Cmd\":[\"true\"]}'; sleep 0.5; resize; docker rm -f ans"),
    Case("a restart policy for a container that is removed by itself", ASK + f"docker run -d --rm --name ans {IMAGE} sleep 100 >/dev/null; "
         "ask POST http://d/containers/ans/update -d '{\"RestartPolicy\":{\"Name\":\"always\"}}' | sed -E 's/[0-9a-f]{64}/ID/'; docker update --restart no ans; docker rm -f ans"),
    Case("broken documents", ASK + "".join(broken(body) for body in (
        "{wrong", "{", '{"Image"', '{"Image":', '{"Image":"x"', '{"Image":"x",}', "{,}", "[,]", "[1 2]", "x", '{"Image" 1}', '{"Image":"x" "b":1}', '{"Image":tru}', '{"Image":nulx}',
        '{"Image":01}', '{"Image":1.}', '{"Image":-}', '{"Image":1e}', '{"Image":"a\nb"}', '{"Image":"\\u12x4"}', '{"Image":"x"} {}'))),
    Case("annotations in the list since 1.46, in inspect since 1.43", ASK + f"docker create --name ans --annotation a=b {IMAGE} >/dev/null; "
         "for v in 1.43 1.45 1.46 1.51; do ask GET http://d/v$v/containers/json?all=1 | grep -o 'NetworkMode[^}]*'; ask GET http://d/v$v/containers/ans/json | grep -o '\"Annotations\":{[^}]*}'; done; docker rm ans"),
    Case("writable control groups, as a word", ASK + f"ask POST http://d/containers/create?name=ans -d '{{\"Image\":\"{IMAGE}\",\"Cmd\":[\"sh\",\"-c\",\"mkdir /sys/fs/cgroup/pids/own && echo made\"],\"HostConfig\":{{\"SecurityOpt\":[\"writable-cgroups\"]}}}}' | tail -c5; docker start -a ans; docker rm ans"),
    Case("the output of a check that takes too long", slow_check("echo one two; sleep 20") + HEALTH_OUTPUT),
    Case("of one that says nothing", slow_check("sleep 20") + HEALTH_OUTPUT),
    Case("of one that says too much", slow_check("seq -s , 3000; exit 1") + HEALTH_OUTPUT),
    Case("a namespace of processes that is not there", ASK + f"docker create --name ans {IMAGE} >/dev/null; docker create --name ans2 --pid container:ans {IMAGE} >/dev/null; ask POST http://d/containers/ans2/start -d '' | sed -E 's/[0-9a-f]{{64}}/ID/'; docker rm ans ans2",
         differs=(Difference(r"^ 500$", " 409", "a state that can be mended is a conflict, as for ipc and network"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_like_dockerd(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
