# SPDX-License-Identifier: Apache-2.0
"""What a container, an image or a local user tries, seen through the docker CLI: the cases of security.md that need a daemon."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGE = "story:1"


def eventually(claim: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits until the claim holds, and fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value
    return value


def test_cve_2024_21626_no_descriptor_of_ours_is_a_working_directory(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", IMAGE, "sleep", "300")

    for number in range(3, 21):
        directory = f"/proc/self/fd/{number}"
        for words in (("run", "--rm", "-w", directory, IMAGE), ("exec", "-w", directory, "host")):
            done = daemon.docker(*words, "sh", "-c", "pwd -P; ls -la . ../../../..")
            assert done.returncode != 0, (words, done.stdout)
    listed = daemon.out("run", "--rm", IMAGE, "ls", "/proc/self/fd").split()
    assert listed == ["0", "1", "2", "3"]
    assert daemon.out("exec", "host", "ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/proc/1", "/proc/self", "/pp", "/pp/sys"])
def test_nothing_is_mounted_on_proc(daemon: Any, tmp_path: Path, target: str) -> None:
    if target.startswith("/pp"):
        daemon.out("create", "--name", "linked", IMAGE, "true")
        tar = _tar(("pp", tarfile.SYMTYPE, "/proc"))
        image = subprocess.run(
            daemon.docker_command("import", "-", "linked:1"),
            input=_with_busybox(daemon, tar),
            capture_output=True,
            check=True,
        )
        assert image.returncode == 0
    done = daemon.docker(
        "run", "--rm", "-v", f"{tmp_path}:{target}", "linked:1" if "pp" in target else IMAGE, "/bin/true"
    )

    assert done.returncode in (125, 126, 127), done.stdout
    assert "proc" in done.stderr
    daemon.docker("rmi", "linked:1")


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_an_image_whose_system_directory_is_a_link_touches_nothing_outside(
    daemon: Any, tmp_path: Path, name: str
) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    tar = _tar((name, tarfile.SYMTYPE, str(canary)))
    subprocess.run(
        daemon.docker_command("import", "-", "evil:1"),
        input=_with_busybox(daemon, tar, without=name),
        capture_output=True,
        check=True,
    )

    daemon.docker("run", "--rm", "-v", f"{canary}:/vol", "evil:1", "/bin/true")

    assert list(canary.iterdir()) == []
    daemon.docker("rmi", "evil:1")


def _tar(*entries: tuple[str, bytes, str]) -> list[tarfile.TarInfo]:
    made: list[tarfile.TarInfo] = []
    for name, kind, target in entries:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        made.append(info)
    return made


def _with_busybox(daemon: Any, entries: list[tarfile.TarInfo], without: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "proc", "sys", "dev", "etc"):
            if name != without:
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        tar.add("/usr/bin/busybox", "bin/busybox")
        for name in ("sh", "true"):
            tar.addfile(_tar((f"bin/{name}", tarfile.SYMTYPE, "busybox"))[0])
        for entry in entries:
            tar.addfile(entry)
    return buffer.getvalue()


def test_cve_2020_15257_the_hosts_network_shows_no_abstract_socket_of_ours(daemon: Any) -> None:
    seen = daemon.out("run", "--rm", "--network", "host", IMAGE, "cat", "/proc/net/unix")

    assert [line for line in seen.splitlines() if "@" in line and ("hold" in line or "shim" in line)] == []


def test_sockets_and_directories_are_closed_to_others(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", "-v", "/data", IMAGE, "sleep", "300")
    container_id = daemon.inspect("host")["Id"]

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(daemon.socket) == 0o660
    assert mode(daemon.exec / "shims" / container_id / "shim.sock") == 0o600
    assert mode(daemon.data) == 0o700
    assert mode(daemon.exec) & 0o066 == 0
    reader = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]
    for path in (daemon.data, daemon.exec / "shims" / container_id):
        listed = subprocess.run([*reader, "ls", str(path)], capture_output=True, check=False)
        assert listed.returncode != 0
    ping = [*reader, "curl", "-s", "--unix-socket", str(daemon.socket), "http://d/_ping"]
    assert subprocess.run(ping, capture_output=True, check=False).returncode != 0


def test_a_terminal_can_be_pushed_into_only_from_inside(daemon: Any) -> None:
    done = daemon.docker("run", "--rm", "-i", IMAGE, "sh", "-c", "tty; ls -l /proc/self/fd/0", stdin="x\n")

    assert "not a tty" in done.stdout
    assert "pts" not in done.stdout


def test_escape_sequences_in_names_do_not_reach_the_terminal(daemon: Any) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m"
    daemon.out("create", "--name", "marked", "--label", f"l={evil}", IMAGE, "echo", evil)
    hold = [sys.executable, "-c", "import sys; from holdfast.cli.main import main; sys.exit(main())"]
    environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}"}

    for words in (["ps", "-a", "--no-trunc"], ["start", f"no{evil}"], ["images"]):
        done = subprocess.run([*hold, *words], capture_output=True, text=True, env=environment, check=False)
        assert "\x1b" not in done.stdout + done.stderr, words
    refused = json.loads(daemon.api("POST", "/containers/create?name=" + "%1b%5b31mx", {"Image": IMAGE})[1])["message"]
    assert "Invalid container name" in refused


def test_a_password_for_a_registry_is_nowhere_afterwards(daemon: Any) -> None:
    import base64

    canary = "c4n4ry-5f1e9d"
    secret = base64.urlsafe_b64encode(json.dumps({"username": "u", "password": canary}).encode()).decode()
    for path in ("/images/create?fromImage=127.0.0.1:9/none&tag=1", "/distribution/127.0.0.1:9/none:1/json"):
        command = ["curl", "-s", "-X", "POST" if "create" in path else "GET", "--unix-socket", str(daemon.socket), "-H", f"X-Registry-Auth: {secret}", f"http://d{path}"]  # fmt: skip
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert canary not in said.stdout

    daemon.out("run", "--rm", IMAGE, "true")
    for pattern in (canary, secret):
        found = subprocess.run(
            ["grep", "-rlaF", pattern, str(daemon.data), str(daemon.exec), str(daemon.log)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stdout == ""


def test_control_groups_and_devices_are_not_the_containers_to_change(daemon: Any) -> None:
    script = (
        "for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do "
        "[ -e $f ] && echo x > $f && echo WROTE $f; done; "
        "mknod /tmp/disk b 254 0; dd if=/tmp/disk of=/dev/null count=1 && echo READ; mount -t tmpfs x /mnt && echo MOUNTED; "
        "echo 1 > /proc/sys/kernel/sysrq && echo SYSRQ; true"
    )

    done = daemon.docker("run", "--rm", IMAGE, "sh", "-c", script)

    assert done.returncode == 0
    assert done.stdout == ""
    assert "Operation not permitted" in done.stderr


@pytest.mark.parametrize("who", ["init", "child"])
def test_a_container_that_runs_out_of_memory_says_so(daemon: Any, who: str) -> None:
    eat = "x=a; while :; do x=$x$x; done"
    script = f"exec sh -c '{eat}'" if who == "init" else f"sh -c '{eat}'; exit 9"
    daemon.docker("run", "--name", "eats", "-m", "16m", IMAGE, "sh", "-c", script)

    state = eventually(lambda: daemon.inspect("eats")["State"])
    assert (state["ExitCode"], state["OOMKilled"]) == (137 if who == "init" else 9, True)


def test_a_fork_bomb_stays_within_its_limit(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "bomb", "--pids-limit", "40", IMAGE, "sh", "-c", "b() { b | b & }; b; sleep 300")
    daemon.out("run", "-d", "--name", "calm", IMAGE, "sleep", "300")
    time.sleep(1)

    assert daemon.out("exec", "calm", "echo", "fine") == "fine"
    pids = [int((group / "pids.current").read_text()) for group in daemon.groups() if (group / "pids.current").exists()]
    assert max(pids) <= 40
    daemon.out("rm", "-f", "bomb")


@pytest.mark.parametrize("with_init", [True, False])
def test_zombies_are_the_inits_affair(daemon: Any, with_init: bool) -> None:
    script = "for i in 1 2 3 4 5; do sh -c 'true & exec true'; done; sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
    done = daemon.docker("run", "--rm", *(["--init"] if with_init else []), IMAGE, "sh", "-c", script)

    if done.returncode:
        assert with_init
        assert "init" in done.stderr
    else:
        assert int(done.stdout) <= 5
