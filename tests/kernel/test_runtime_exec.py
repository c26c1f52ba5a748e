# SPDX-License-Identifier: Apache-2.0
"""One more process in a running container: its namespaces, identity, terminal, and how it fails."""

import pytest


def execute(sandbox, *processes):
    return sandbox.run(sandbox.spec("sleep", "60"), execs=list(processes), kill=True)["execs"]


def process_of(sandbox, *args, **process):
    return sandbox.spec(*args, **process)["process"]


def test_an_exec_is_in_the_container_s_namespaces(sandbox):
    script = "for n in mnt net pid ipc uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo $n; done; hostname; readlink /proc/1/exe"
    (answer,) = execute(sandbox, process_of(sandbox, "sh", "-c", script))

    assert answer["out"].split() == ["mnt", "net", "pid", "ipc", "uts", "sandbox", "/bin/sleep"]
    assert answer["status"] == 0


def test_an_exec_has_the_same_sandbox(sandbox):
    answers = execute(
        sandbox,
        process_of(sandbox, "sh", "-c", "grep -E '^(Cap|Groups|Umask|Uid)' /proc/self/status; ls /proc/$$/fd; :"),
        process_of(sandbox, "sh", "-c", "grep CapEff /proc/self/status; id -u", user={"uid": 1000, "gid": 1000}),
    )

    assert answers[0]["out"].count("00000000a80425fb") == 3
    assert answers[0]["out"].split()[-3:] == ["0", "1", "2"]
    assert answers[1]["out"].split() == ["CapEff:", "0" * 16, "1000"]


def test_an_exec_has_its_own_terminal(sandbox):
    process = process_of(sandbox, "sh", "-c", "tty; stty size", terminal=True, consoleSize={"height": 20, "width": 70})
    (answer,) = execute(sandbox, process)

    assert answer["out"].split() == ["/dev/pts/0", "20", "70"]


def test_exit_codes(sandbox):
    answers = execute(sandbox, *(process_of(sandbox, "sh", "-c", f"exit {code}") for code in (0, 3, 255)))

    assert [answer["status"] for answer in answers] == [0, 3, 255]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 'exec: "/etc": is a directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/no/such"], 'exec: "/no/such": stat /no/such: no such file or directory'),
    ],
)
def test_a_start_fails_in_docker_s_words_first_or_exec_d(sandbox, args, message):
    (exec_answer,) = execute(sandbox, process_of(sandbox, *args))
    first_answer = sandbox.run(sandbox.spec(*args))

    assert exec_answer["error"] == first_answer["error"] == message


def test_a_missing_directory_is_made_for_a_container_but_not_for_an_exec(sandbox):
    (answer,) = execute(sandbox, process_of(sandbox, "pwd", cwd="/nosuch"))

    assert answer["error"] == 'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory'


def test_a_user_enters_its_directory_with_its_own_rights(sandbox):
    script = "mkdir -m 700 /own && chown 1000:1000 /own && exec sleep 60"
    spec = sandbox.spec("sh", "-c", script)
    answer = sandbox.run(
        spec,
        execs=[
            process_of(sandbox, "sh", "-c", "until [ -d /own ]; do :; done"),
            process_of(sandbox, "pwd", cwd="/own", user={"uid": 1000, "gid": 1000}),
        ],
        kill=True,
    )

    assert answer["execs"][1]["out"] == "/own\n"
