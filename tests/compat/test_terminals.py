# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: size, resize, ctrl-c, detach keys, two attached clients; the same on dockerd and Holdfast."""

import os
import re
from pathlib import Path
from typing import Any

import pexpect
import pytest
from compat_case import Daemon

IMAGE = "busybox:1.37.0-musl"
PROMPT = r"/ # (\x1b\[6n)?"


@pytest.fixture(params=["dockerd", "holdfast"])
def daemon(request: pytest.FixtureRequest) -> Daemon:
    return request.getfixturevalue("dockerd" if request.param == "dockerd" else "holdfastd")


def terminal(daemon: Daemon, command: str, *, config: Path | None = None) -> Any:
    """The docker CLI on a pty of 30 rows and 90 columns."""
    environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}", "TERM": "dumb"}
    if config is not None:
        environment["DOCKER_CONFIG"] = str(config)
    inside = ["--net=/run/netns/" + daemon.netns, "docker", *command.split()]
    child = pexpect.spawn("nsenter", inside, env=environment, dimensions=(30, 90), timeout=15, encoding="utf-8")
    child.delaybeforesend = 0.05
    return child


def ended(child: Any) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_a_shell_with_its_size_and_exit_code(daemon: Daemon) -> None:
    child = terminal(daemon, f"run --rm -it {IMAGE} sh")
    child.expect(PROMPT)
    child.sendline("stty size; tty; echo $TERM")
    child.expect("30 90\r\n/dev/pts/0\r\nxterm\r\n")
    child.setwinsize(44, 111)
    child.expect(PROMPT)
    child.sendline("sleep 0.3; stty size")
    child.expect("44 111\r\n")
    child.sendline("exit 7")

    assert ended(child) == 7


def test_control_c_reaches_the_foreground(daemon: Daemon) -> None:
    child = terminal(daemon, f"run --rm -it {IMAGE} sh")
    child.expect(PROMPT)
    child.sendline("sh -c 'echo in the fore''ground; exec sleep 1000'")
    child.expect("in the foreground\r\n")
    child.sendcontrol("c")
    child.expect(PROMPT)
    child.sendline("echo code $?")
    child.expect("code 130\r\n")
    child.sendcontrol("d")

    assert ended(child) == 130 or child.exitstatus == 0


def test_detach_keys_leave_it_running_and_attach_comes_back(daemon: Daemon) -> None:
    child = terminal(daemon, f"run --name tt1 -it {IMAGE} sh")
    try:
        child.expect(PROMPT)
        child.send("\x10\x11")
        assert ended(child) == 0
        assert daemon.sh("docker inspect -f '{{.State.Running}}' tt1").stdout == "true\n"

        child = terminal(daemon, "attach --detach-keys a,b,c tt1")
        child.sendline("echo ab; stty size")
        child.expect("\r\nab\r\n30 90\r\n")
        child.send("abc")
        child.expect("read escape sequence")
        assert ended(child) == 1

        child = terminal(daemon, "attach tt1")
        child.sendline("exit 3")
        assert ended(child) == 3
    finally:
        daemon.sh("docker rm -f tt1")


def test_detach_keys_of_the_configuration(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"detachKeys": "ctrl-a,z"}')
    child = terminal(daemon, f"run --name tt2 -it {IMAGE} sh", config=tmp_path)
    try:
        child.expect(PROMPT)
        child.send("\x10\x11echo still\r")
        child.expect("still\r\n")
        child.send("\x01z")
        assert ended(child) == 0
        assert daemon.sh("docker inspect -f '{{.State.Running}}' tt2").stdout == "true\n"
    finally:
        daemon.sh("docker rm -f tt2")


def test_wrong_detach_keys_are_refused(daemon: Daemon) -> None:
    child = terminal(daemon, f"run --rm -it --detach-keys nope,x {IMAGE} sh")

    child.expect("unable to upgrade to tcp, received 400")
    assert ended(child) == 1
    daemon.sh("docker ps -aq --filter status=created | xargs -r docker rm")


def test_two_clients_see_the_same(daemon: Daemon) -> None:
    daemon.sh(f"docker run -dit --name tt3 {IMAGE} sh")
    try:
        one, two = terminal(daemon, "attach tt3"), terminal(daemon, "attach tt3")
        one.expect_exact(pexpect.TIMEOUT, timeout=0.5)
        two.sendline("echo from-two")
        for each in (one, two):
            each.expect("\r\nfrom-two\r\n")
        one.sendline("echo from-one; exit 4")
        for each in (two, one):
            each.expect("\r\nfrom-one\r\n")
        assert [ended(each) for each in (one, two)] == [4, 4]
    finally:
        daemon.sh("docker rm -f tt3")


def test_exec_on_a_terminal(daemon: Daemon) -> None:
    daemon.sh(f"docker run -d --name tt4 {IMAGE} sleep 1000")
    try:
        child = terminal(daemon, "exec -it tt4 sh")
        child.expect(PROMPT)
        child.sendline("stty size; tty")
        child.expect("30 90\r\n/dev/pts/0\r\n")
        child.setwinsize(20, 70)
        child.expect(PROMPT)
        child.sendline("sleep 0.3; stty size")
        child.expect("20 70\r\n")
        child.sendline("exit 9")
        assert ended(child) == 9

        child = terminal(daemon, "exec -it tt4 sh")
        child.expect(PROMPT)
        child.send("\x10\x11")
        child.expect("read escape sequence")
        assert ended(child) == 1
        assert re.search(r"\bsh\b", daemon.sh("docker top tt4 -eo pid,args").stdout)
    finally:
        daemon.sh("docker rm -f tt4")
