# SPDX-License-Identifier: Apache-2.0
"""holdfastd as a process, in a network namespace of its own: start, lock, signals, TLS, inherited descriptors."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

MAIN = "import sys; from holdfast.daemon.main import main; sys.exit(main())"


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path):
        super().__init__("d", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """A running holdfastd below a directory."""

    def __init__(self, root, *words, **popen):
        self.root, self.socket = root, str(root / "s.sock")
        self.process = subprocess.Popen(
            [
                "unshare", "-n", sys.executable, "-c", MAIN, "-H", f"unix://{self.socket}", "--data-root", str(root / "data"),
                "--exec-root", str(root / "exec"), "--config-file", str(root / "daemon.json"), *words,
            ],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **popen,
        )  # fmt: skip

    def ask(self, target):
        connection = UnixConnection(self.socket)
        connection.request("GET", target)
        response = connection.getresponse()
        with response:
            return response.status, response.read()

    def wait_answer(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask("/_ping")
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, self.process.stderr.read().decode()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(20)
        return status, self.process.stderr.read().decode()


@pytest.fixture
def begin(tmp_path):
    started = []
    (tmp_path / "daemon.json").write_text("{}")

    def make(*words, **popen):
        started.append(Daemon(tmp_path, *words, **popen))
        return started[-1]

    yield make
    for each in started:
        if each.process.poll() is None:
            each.stop(signal.SIGKILL)


def test_a_daemon_answers_and_leaves_on_sigterm(begin, tmp_path):
    daemon = begin()
    assert daemon.wait_answer() == (200, b"OK")
    assert (tmp_path / "exec" / "holdfastd.pid").read_text().strip() == str(daemon.process.pid)

    status, log = daemon.stop()

    assert status == 0
    assert "containers live on" in log
    assert "Traceback" not in log
    assert not os.path.exists(daemon.socket)
    assert not (tmp_path / "exec" / "holdfastd.pid").exists()


def test_the_next_daemon_of_a_killed_one_starts_and_keeps_its_id(begin):
    first = begin()
    first.wait_answer()
    before = json.loads(first.ask("/info")[1])["ID"]
    first.stop(signal.SIGKILL)

    second = begin()
    second.wait_answer()

    assert json.loads(second.ask("/info")[1])["ID"] == before


def test_a_second_daemon_on_the_same_data_root_says_who_has_it(begin):
    first = begin()
    first.wait_answer()

    second = begin("--pidfile", "/dev/null/none")

    status = second.process.wait(20)
    assert status == 1
    assert f"in use by another holdfastd (pid {first.process.pid})" in second.process.stderr.read().decode()
    assert first.ask("/_ping")[0] == 200


def test_descriptors_that_the_daemon_inherits_are_gone(begin):
    leaked = os.open("/", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    daemon = begin(pass_fds=[leaked])
    daemon.wait_answer()

    links = _open_files(daemon.process.pid)

    os.close(leaked)
    assert links
    assert "/" not in links


def test_the_data_root_is_closed_to_others(begin, tmp_path):
    begin().wait_answer()

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_sighup_takes_the_log_level_from_the_file(begin, tmp_path):
    daemon = begin()
    daemon.wait_answer()
    assert json.loads(daemon.ask("/info")[1])["Debug"] is False
    (tmp_path / "daemon.json").write_text('{"debug": true}')

    daemon.process.send_signal(signal.SIGHUP)

    deadline = time.monotonic() + 60
    while not json.loads(daemon.ask("/info")[1])["Debug"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    told = json.loads(daemon.ask("/events?since=1&until=" + str(int(time.time()) + 1))[1])
    assert (told["Type"], told["Action"], told["Actor"]["Attributes"]["debug"]) == ("daemon", "reload", "true")
    assert told["Actor"]["ID"] == json.loads(daemon.ask("/info")[1])["ID"]


def test_an_open_event_stream_does_not_hold_up_the_end(begin):
    daemon = begin()
    daemon.wait_answer()
    connection = UnixConnection(daemon.socket)
    connection.request("GET", "/events")
    connection.getresponse()

    began = time.monotonic()
    status, _ = daemon.stop()

    assert status == 0
    assert time.monotonic() - began < 5


def _open_files(pid: int) -> set[str]:
    """What the descriptors of a process lead to; one that it closes meanwhile does not count."""
    links: set[str] = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return links
