# SPDX-License-Identifier: Apache-2.0
"""podman with hold-runc as its runtime gives what it gives with runc: one script under both, answers compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALPINE = REPOSITORY.parent / "shared/images/alpine-3.20"
HOLD_RUNC = Path(sys.executable).with_name("hold-runc")
# no CAP_SYS_RESOURCE may be here: podman must not raise limits
LIMITS = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
SCRIPT = f"""
exec 2>&1
umask 022; mount --make-rprivate /
podman() {{ command podman --root "$DIR/root" --runroot "$DIR/run" --cgroup-manager=cgroupfs --events-backend=none \
    --storage-driver=vfs --runtime "$RUNTIME" "$@"; }}
run() {{ podman run --rm {LIMITS} --network none "$@"; }}
show() {{ echo "== $1"; shift; "$@"; echo "exit $?"; }}
podman pull -q oci:{ALPINE}:3.20 > /dev/null && image=$(podman images -q | head -n 1)
show output run $image sh -c 'echo out; echo err >&2; exit 4'
show identity run -u 1000:100 $image sh -c 'id; grep -E "^(Cap|NoNew|Seccomp|Groups)" /proc/self/status'
show default run $image sh -c 'id; grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status; hostname | wc -c; pwd; umask'
show privileged run --privileged $image sh -c 'grep -E "^(Cap|Seccomp:)" /proc/self/status'
show stdin sh -c "echo typed | command podman --root $DIR/root --runroot $DIR/run --cgroup-manager=cgroupfs \
    --events-backend=none --storage-driver=vfs --runtime $RUNTIME run -i --rm {LIMITS} --network none $image cat"
show missing run $image nosuch
show limits run --memory 64m --pids-limit 50 --cpu-shares 512 $image sh -c \
    'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares; sort devices/devices.list | grep -v 5:1'
show readonly run --read-only $image touch /x
show volume run -v $DIR:/v:ro $image sh -c 'ls /v; touch /v/x'
podman run -d --name one {LIMITS} --network none $image sh -c 'echo logged; trap "exit 3" TERM; while :; do sleep 0.1; done' > /dev/null
show exec podman exec -w /tmp -e A=b one sh -c 'pwd; echo $A; exit 9'
show terminal podman exec -t one tty
show pause podman pause one
show unpause podman unpause one
show logs podman logs one
show stop podman stop -t 10 one
show inspect podman inspect --format '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' one
show restart podman start one
show remove podman rm -f -t 0 one
show empty podman ps -aq
"""


def answers(runtime: str, scratch: Path, netns: str) -> str:
    directory = scratch / Path(runtime).name
    (directory / "xdg").mkdir(parents=True)
    environment = {**os.environ, "DIR": str(directory), "RUNTIME": runtime, "XDG_RUNTIME_DIR": str(directory / "xdg")}
    command = ["nsenter", f"--net=/run/netns/{netns}", "unshare", "-m", "bash", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    text = done.stdout.replace(str(directory), "DIR").replace("hold-runc: create", "runc create")
    text = text.replace(str(HOLD_RUNC), "RUNTIME").replace("Error: runc:", "Error: RUNTIME:")
    return (
        re.sub(r"[0-9a-f]{64}", "ID", text).replace("RUNTIME: runc create", "RUNTIME: create").replace("hold-runc:", "")
    )


@pytest.fixture
def netns() -> Iterator[str]:
    for tool in ("podman", "conmon", "runc"):
        if shutil.which(tool) is None:
            pytest.fail(f"{tool} is not installed")
    name = f"podman-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def test_podman_answers_the_same_with_hold_runc_and_runc(tmp_path: Path, netns: str) -> None:
    ours, theirs = (answers(runtime, tmp_path, netns) for runtime in (str(HOLD_RUNC), "runc"))

    assert "== empty" in ours
    assert ours.splitlines() == theirs.splitlines()
