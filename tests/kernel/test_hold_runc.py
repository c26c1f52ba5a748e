# SPDX-License-Identifier: Apache-2.0
"""`hold-runc` from outside: bundles as `hold-runc spec` writes them, run to their end; runc and crun beside it."""

from __future__ import annotations

import array
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.runtime.commands import spec as spec_command

HOLD_RUNC = [sys.executable, "-m", "holdfast.runtime.main"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}


class Runtime:
    """One runtime binary with a state directory and a bundle of its own."""

    def __init__(self, command: list[str], root: Path, scratch: Path) -> None:
        self.command = command
        self.root = root
        self.scratch = scratch
        self.state = scratch / "state"
        self.made: list[str] = []

    def bundle(self, *args: str, **changes: Any) -> Path:
        """A bundle that runs `args`; keys of `changes` replace those of the document, `process` and `linux` are merged."""
        directory = self.scratch / f"bundle-{uuid.uuid4().hex[:8]}"
        directory.mkdir()
        document = spec_command.template(is_rootless=False)
        document["ociVersion"] = "1.0.2"  # the newest that crun 1.8 takes
        document["root"] = {"path": str(self.root), "readonly": True}
        document["process"] |= {"args": list(args), "terminal": False}
        for name, value in changes.items():
            document[name] = {**document[name], **value} if name in ("process", "linux") else value
        (directory / "config.json").write_text(json.dumps(document))
        return directory

    def new_id(self) -> str:
        """An id that is removed at the end."""
        self.made.append(f"hr-{uuid.uuid4().hex[:10]}")
        return self.made[-1]

    def __call__(self, *words: str, **named: Any) -> subprocess.CompletedProcess[str]:
        named.setdefault("stdin", subprocess.DEVNULL)
        command = [*self.command, "--root", str(self.state), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, env=ENVIRONMENT, **named
        )

    def create(self, bundle: Path) -> str:
        """A created container with /dev/null as its stdio."""
        container_id = self.new_id()
        command = [*self.command, "--root", str(self.state), "create", "--bundle", str(bundle), container_id]
        with open(self.scratch / "create.log", "w+") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, env=ENVIRONMENT
            )
            log.seek(0)
            assert done.returncode == 0, log.read()
        return container_id

    def status(self, container_id: str) -> str:
        """The status that `state` prints."""
        return json.loads(self("state", container_id).stdout)["status"]

    def wait_status(self, container_id: str, wanted: str) -> None:
        """Waits until `state` says so."""
        deadline = time.monotonic() + 10
        while (found := self.status(container_id)) != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


@pytest.fixture
def runtime(busybox: Path, tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(HOLD_RUNC, busybox, tmp_path)
    yield made
    for container_id in made.made:
        assert made("delete", "--force", container_id).returncode == 0
    assert not made.state.exists() or os.listdir(made.state) == []
    assert [each for each in made.made if any(Path("/sys/fs/cgroup").glob(f"*/{each}"))] == []


def test_run_passes_output_and_exit_code_on(runtime: Runtime) -> None:
    done = runtime("run", "-b", str(runtime.bundle("sh", "-c", "echo out; echo err >&2; exit 7")), runtime.new_id())

    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_run_reads_standard_input(runtime: Runtime) -> None:
    command = [*HOLD_RUNC, "--root", str(runtime.state), "run", "-b", str(runtime.bundle("cat")), runtime.new_id()]

    done = subprocess.run(command, input=b"typed\n", capture_output=True, timeout=30, check=False, env=ENVIRONMENT)

    assert done.stdout == b"typed\n"


def test_a_container_killed_by_a_signal_exits_with_128_and_it(runtime: Runtime) -> None:
    # an init without a handler ignores its own SIGTERM, so a child of it is killed and its code passed on
    script = "sh -c 'kill -9 $$'; exit $?"

    assert runtime("run", "-b", str(runtime.bundle("sh", "-c", script)), runtime.new_id()).returncode == 137


@pytest.mark.parametrize("peer", ["runc", "crun"])
def test_a_bundle_shows_what_it_shows_under_the_peer(runtime: Runtime, peer: str) -> None:
    if shutil.which(peer) is None:
        pytest.fail(f"{peer} is not installed")
    script = """id; hostname; pwd; umask; ls -l /dev | awk '{print $1, $3, $4, $5, $6, $NF}' | sort; ls /proc/self/fd | head -3
        grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status; ulimit -n; echo $PATH $TERM $HOME
        awk '$2 != "/" && $2 != "/sys/fs/cgroup" {print $2, $3}' /proc/mounts | grep -v -E ' (tmpfs|devtmpfs)$' | sort
        cat /proc/self/oom_score_adj; sort /sys/fs/cgroup/devices/devices.list; echo x > /proc/sys/kernel/hostname"""
    # runc 1.1 does not allow 5:1 and masks fewer paths; crun allows it: compare what both have
    masked = ["/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
    bundle = runtime.bundle("sh", "-c", script, linux={"maskedPaths": masked}, hostname="same")
    # crun refuses hybrid machines: it gets a mount namespace without the v2 tree
    hide = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", hide, "sh", peer]
    other = Runtime(command, runtime.root, runtime.scratch / peer)
    other.scratch.mkdir()

    ours = runtime("run", "-b", str(bundle), runtime.new_id())
    theirs = other("run", "-b", str(bundle), f"peer-{uuid.uuid4().hex[:8]}")

    alone = ".*kcore|[bc] .* r?w?m$" if peer == "crun" else "c 5:1"

    def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
        # crun has a device list of its own and a link to /proc/kcore; runc 1.1 leaves the console's device out
        return [line for line in done.stdout.splitlines() if not re.match(alone, line)]

    assert lines(ours) == lines(theirs)
    assert ours.returncode == theirs.returncode


def test_create_start_and_delete(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    pid = json.loads(runtime("state", container_id).stdout)["pid"]
    before = Path(f"/proc/{pid}/comm").read_text()

    refused_twice = [runtime("start", container_id).returncode for _ in range(2)]

    assert refused_twice == [0, 1]
    assert runtime.status(container_id) == "running"
    assert (before.strip(), Path(f"/proc/{pid}/comm").read_text().strip()) == (before.strip(), "sleep")
    assert runtime("delete", container_id).returncode == 1
    assert runtime("kill", container_id, "KILL").returncode == 0
    runtime.wait_status(container_id, "stopped")
    assert runtime("kill", container_id, "KILL").stderr == "hold-runc: container not running\n"
    assert runtime("delete", container_id).returncode == 0
    assert runtime("state", container_id).stderr == "hold-runc: container does not exist\n"


def test_the_state_document(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100", annotations={"a": "b"}))

    state = json.loads(runtime("state", container_id).stdout)

    assert {key: state[key] for key in ("id", "status", "annotations", "rootfs")} == {
        "id": container_id,
        "status": "created",
        "annotations": {"a": "b"},
        "rootfs": str(runtime.root),
    }
    assert state["pid"] > 1
    assert state["created"].endswith("Z")


def test_a_created_container_can_be_deleted_unstarted(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("true"))

    assert runtime("delete", container_id).returncode == 0


def test_an_id_is_taken_once(runtime: Runtime) -> None:
    bundle = runtime.bundle("sleep", "100")
    container_id = runtime.create(bundle)

    again = runtime("create", "-b", str(bundle), container_id)

    assert (again.returncode, runtime.status(container_id)) == (1, "created")
    assert "container with given ID already exists" in again.stderr


@pytest.mark.parametrize("wrong", ["../x", "a/b", "", ".", "..", "a b", "x" * 2000])
def test_ids_are_names(runtime: Runtime, wrong: str) -> None:
    done = runtime("run", "-b", str(runtime.bundle("true")), wrong)

    assert done.returncode == 1
    assert "invalid container ID format" in done.stderr


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/etc", 'exec: "/etc": '),
        ("/no/such", "no such file or directory"),
    ],
)
def test_a_command_that_cannot_run_leaves_nothing(runtime: Runtime, command: str, text: str) -> None:
    log = runtime.scratch / "log.json"

    done = runtime(
        "--log", str(log), "--log-format", "json", "run", "-b", str(runtime.bundle(command)), runtime.new_id()
    )

    assert done.returncode == 1
    assert text in done.stderr
    assert json.loads(log.read_text())["level"] == "error"
    assert os.listdir(runtime.state) == []


def test_exec_runs_beside_the_init(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    runtime("start", container_id)

    script = 'id; pwd; echo "$A"; exit 9'
    done = runtime("exec", "-u", "1000:100", "--cwd", "/tmp", "-e", "A=b c", container_id, "sh", "-c", script)
    missing = runtime("exec", container_id, "nosuch")

    assert (done.returncode, done.stdout) == (9, "uid=1000 gid=100(users)\n/tmp\nb c\n")
    assert missing.returncode == 255
    assert "executable file not found in $PATH" in missing.stderr


def test_exec_takes_a_process_document_and_detaches(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    runtime("start", container_id)
    document, pid_file = runtime.scratch / "process.json", runtime.scratch / "pid"
    process = {"args": ["sleep", "50"], "cwd": "/", "user": {"uid": 7, "gid": 7}, "env": ["PATH=/bin"]}
    document.write_text(json.dumps(process))

    words = ["exec", "--detach", "--pid-file", str(pid_file), "--process", str(document), container_id]
    command = [*HOLD_RUNC, "--root", str(runtime.state), *words]
    null = subprocess.DEVNULL  # a pipe would stay open in the detached process
    done = subprocess.run(command, stdin=null, stdout=null, stderr=null, timeout=30, check=False, env=ENVIRONMENT)

    pid = int(pid_file.read_text())
    assert done.returncode == 0
    assert os.stat(f"/proc/{pid}").st_uid == 7
    assert set(json.loads(runtime("ps", "--format", "json", container_id).stdout)) >= {pid}
    assert str(pid) in runtime("ps", container_id).stdout


def test_pause_and_resume(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    runtime("start", container_id)

    assert runtime("pause", container_id).returncode == 0
    assert runtime.status(container_id) == "paused"
    assert runtime("pause", container_id).returncode == 1
    assert runtime("exec", container_id, "true").returncode == 255
    assert runtime("resume", container_id).returncode == 0
    assert runtime.status(container_id) == "running"
    assert runtime("resume", container_id).stderr == "hold-runc: container not paused\n"


def test_update_and_events(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    runtime("start", container_id)

    by_flags = runtime("update", "--memory", str(64 << 20), "--pids-limit", "33", container_id)
    (runtime.scratch / "more.json").write_text('{"pids": {"limit": 44}}')
    by_file = runtime("update", "--resources", str(runtime.scratch / "more.json"), container_id)
    event = json.loads(runtime("events", "--stats", container_id).stdout)

    assert (by_flags.returncode, by_file.returncode) == (0, 0)
    assert (event["type"], event["id"]) == ("stats", container_id)
    assert event["data"]["pids"]["limit"] == 44
    assert event["data"]["memory"]["usage"]["limit"] == 64 << 20


def test_list_shows_all(runtime: Runtime) -> None:
    container_id = runtime.create(runtime.bundle("sleep", "100"))
    (runtime.state / "damaged").mkdir()
    (runtime.state / "damaged" / "state.json").write_text("{")

    table, ids = runtime("list").stdout.splitlines(), runtime("list", "-q").stdout.split()
    found = json.loads(runtime("list", "--format", "json").stdout)

    assert table[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert table[1].split()[::2][0] == container_id
    assert table[1].split()[-1] == "root"
    assert sorted(ids) == sorted([container_id, "damaged"])
    assert [each["id"] for each in found] == [container_id]
    shutil.rmtree(runtime.state / "damaged")


def test_hooks_run_in_order_and_hear_the_state(runtime: Runtime, tmp_path: Path) -> None:
    log = tmp_path / "hooks.log"
    recorder = tmp_path / "hook.sh"
    recorder.write_text(
        f'#!/bin/sh\necho "$1 $(cat | tr -d "\\n") $(test -d /proc/1/root{tmp_path} && echo host)" >> {log}\n'
    )
    recorder.chmod(0o755)
    names = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    hooks = {name: [{"path": str(recorder), "args": ["hook", name], "env": ["PATH=/bin:/usr/bin"]}] for name in names}
    inside = {"path": "/bin/sh", "args": ["sh", "-c", "cat > /tmp/told"], "env": ["PATH=/bin"]}
    hooks["startContainer"] = [inside]
    mounts = [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []}]
    proc = {"destination": "/proc", "type": "proc", "source": "proc", "options": []}
    bundle = runtime.bundle("cat", "/tmp/told", hooks=hooks, mounts=[proc, *mounts])
    container_id = runtime.new_id()

    done = runtime("run", "-b", str(bundle), container_id)

    assert done.returncode == 0, done.stderr
    told = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [name for name, _ in told] == list(names)
    states = {name: json.loads(rest[: rest.rindex("}") + 1]) for name, rest in told}
    assert {state["id"] for state in states.values()} == {container_id}
    assert [states[name]["status"] for name in names] == ["creating", "creating", "creating", "running", "stopped"]
    assert states["createContainer"]["pid"] == 1
    assert states["poststart"]["pid"] == states["prestart"]["pid"] > 1
    assert json.loads(done.stdout)["status"] == "created"


@pytest.mark.parametrize("name", ["prestart", "createContainer", "startContainer"])
def test_a_failing_hook_fails_the_container(runtime: Runtime, name: str) -> None:
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "echo sorry >&2; exit 3"], "env": ["PATH=/bin"]}
    slow = {"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}
    for hook, text in ((failing, "exit status 3, stdout: , stderr: sorry"), (slow, "timeout")):
        done = runtime("run", "-b", str(runtime.bundle("true", hooks={name: [hook]})), runtime.new_id())

        assert done.returncode == 1
        assert text in done.stderr
        assert os.listdir(runtime.state) == []


def test_seccomp_of_the_bundle_is_installed(runtime: Runtime) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    filtered = {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}}

    done = runtime("run", "-b", str(runtime.bundle("mkdir", "/dev/x", linux=filtered)), runtime.new_id())

    assert "No space left on device" in done.stderr


def test_resources_reach_the_cgroup_named_in_the_bundle(runtime: Runtime) -> None:
    path = f"/holdfast-test-{uuid.uuid4().hex[:8]}/inner"
    limits = {"resources": {"memory": {"limit": 32 << 20}, "pids": {"limit": 21}}, "cgroupsPath": path}
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max; grep pids /proc/self/cgroup"

    done = runtime("run", "-b", str(runtime.bundle("sh", "-c", script, linux=limits)), runtime.new_id())

    assert done.stdout.split()[:2] == [str(32 << 20), "21"]
    assert done.stdout.rstrip().endswith(f":{path}")
    for made in Path("/sys/fs/cgroup").glob(f"*{path.removesuffix('/inner')}"):
        made.rmdir()


def test_a_console_socket_gets_the_terminal(runtime: Runtime) -> None:
    address = runtime.scratch / "console.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(address))
    listener.listen(1)
    bundle = runtime.bundle("sh", "-c", "tty; exit 0", process={"terminal": True})
    container_id = runtime.new_id()

    without = runtime("create", "-b", str(bundle), container_id)
    done = runtime("create", "--console-socket", str(address), "-b", str(bundle), container_id)
    connection, _ = listener.accept()
    _, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(4))
    master = array.array("i", ancillary[0][2])[0]
    runtime("start", container_id)
    shown = os.read(master, 100)
    os.close(master)

    assert (without.returncode, done.returncode) == (1, 0)
    assert "console socket" in without.stderr
    assert shown == b"/dev/pts/0\r\n"


def test_run_with_a_terminal_relays_it(runtime: Runtime) -> None:
    bundle = runtime.bundle("sh", "-c", "stty size; read x; echo got $x; exit 4", process={"terminal": True})
    container_id = runtime.new_id()
    pid, master = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [*HOLD_RUNC, "--root", str(runtime.state), "run", "-b", str(bundle), container_id],
            ENVIRONMENT,
        )

    output = b""
    os.write(master, b"typed\n")
    while select.select([master], [], [], 20)[0]:
        try:
            output += os.read(master, 1000)
        except OSError:
            break
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(master)

    assert os.waitstatus_to_exitcode(status) == 4
    assert b"got typed" in output


def test_signals_of_the_caller_reach_the_container(runtime: Runtime) -> None:
    bundle = runtime.bundle("sh", "-c", "trap 'echo caught; exit 5' TERM; echo up; while :; do sleep 0.05; done")
    command = [*HOLD_RUNC, "--root", str(runtime.state), "run", "-b", str(bundle), runtime.new_id()]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
    assert running.stdout is not None
    running.stdout.readline()

    time.sleep(0.2)  # between the container's first line and the command's handlers
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=20)

    assert (running.returncode, out) == (5, "caught\n")


def test_preserved_descriptors_are_the_containers(runtime: Runtime) -> None:
    reader, writer = os.pipe()
    bundle = runtime.bundle("sh", "-c", "echo kept >&3; ls /proc/self/fd | wc -l")
    command = [
        *HOLD_RUNC,
        "--root",
        str(runtime.state),
        "run",
        "--preserve-fds",
        "1",
        "-b",
        str(bundle),
        runtime.new_id(),
    ]
    through_shell = ["bash", "-c", f'exec "$@" 3>&{writer}', "bash", *command]

    done = subprocess.run(through_shell, pass_fds=(writer,), capture_output=True, check=False, env=ENVIRONMENT)
    os.close(writer)
    kept = os.read(reader, 100)
    os.close(reader)

    assert kept == b"kept\n"
    assert done.stdout.split() == [b"5"]  # 0 1 2 3, and ls's own


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nosuch",), "No help topic for 'nosuch'"),
        (("state",), "requires exactly 1 argument"),
        (("--nosuch", "list"), "flag provided but not defined: -nosuch"),
        (("--log-format", "xml", "list"), "invalid log-format"),
        (("kill", "x", "FOO"), "unknown signal"),
        (("checkpoint", "x"), "not supported"),
        (("update", "--memory", "lots", "x"), "must be a number"),
        (("--rootless", "maybe", "list"), "rootless"),
    ],
)
def test_wrong_command_lines_say_what_is_wrong(runtime: Runtime, words: tuple[str, ...], text: str) -> None:
    done = runtime(*words)

    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "config", [None, "{", "[]", "{}", '{"process": {}}', '{"process": {"args": []}, "root": {"path": "/"}}']
)
def test_wrong_bundles_say_what_is_wrong(runtime: Runtime, config: str | None, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)

    done = runtime("run", "-b", str(tmp_path), runtime.new_id())

    assert done.returncode == 1
    assert done.stderr.startswith("hold-runc: run failed: ")
    assert "Traceback" not in done.stderr
    assert not runtime.state.exists() or os.listdir(runtime.state) == []


def test_spec_is_written_once_and_features_are_json(runtime: Runtime, tmp_path: Path) -> None:
    assert runtime("spec", "--bundle", str(tmp_path)).returncode == 0
    assert json.loads((tmp_path / "config.json").read_text())["process"]["args"] == ["sh"]
    assert "Remove it first" in runtime("spec", "--bundle", str(tmp_path)).stderr
    assert "cgroup" in json.loads(runtime("features").stdout)["linux"]
    assert runtime("--version").stdout.startswith("hold-runc version")
    assert "create" in runtime("--help").stdout
