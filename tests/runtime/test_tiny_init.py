# SPDX-License-Identifier: Apache-2.0
"""The built-in init as an ordinary process: what it starts, passes on and ends with. As pid 1: tests/kernel."""

import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import Unsupported
from holdfast.runtime import machine_code, tiny_init

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "docker-init"
    file.write_bytes(tiny_init.program(ARCHITECTURE))
    file.chmod(0o755)
    return file


@pytest.fixture
def run(program: Path) -> Run:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "--", *words], env=environment, capture_output=True, text=True, check=False, timeout=20
        )

    return run


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_commands(run: Run, code: int) -> None:
    assert run("/bin/sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signalled_command_is_128_and_its_number(run: Run, number: int) -> None:
    assert run("/bin/sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_arguments_and_environment_go_through(run: Run) -> None:
    assert run("sh", "-c", 'echo "$0|$1|$X"', "a b", "", PATH="/bin", X="y z").stdout == "a b||y z\n"


def test_path_is_searched_in_its_order(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        script = tmp_path / name / "tool"
        script.write_text(f"echo {name} $1\n")  # without a #! line: the shell's
        script.chmod(0o755)

    assert run("tool", "x", PATH=f"/nonexistent:{tmp_path}/two:{tmp_path}/one").stdout == "two x\n"
    assert run("tool", PATH=f"{'d' * 5000}:{tmp_path}/one").stdout == "one\n"
    assert run("ls", "-d", "/").stdout == "/\n"  # without PATH


@pytest.mark.parametrize(
    ("words", "path", "code", "reason"),
    [
        (("nosuch",), "/bin", 127, "No such file or directory"),
        (("nosuch",), "", 127, "No such file or directory"),
        (("/no/such",), "/bin", 127, "No such file or directory"),
        (("/etc/passwd",), "/bin", 126, "Permission denied"),
        (("passwd",), "/nonexistent:/etc:/nonexistent", 126, "Permission denied"),
        (("x" * 9000,), "/bin", 127, "No such file or directory"),
    ],
)
def test_what_cannot_be_executed_is_said(run: Run, words: tuple[str], path: str, code: int, reason: str) -> None:
    done = run(*words, PATH=path)

    assert done.returncode == code
    assert done.stderr == f"[FATAL docker-init] exec {words[0]} failed: {reason}\n"


def test_nothing_to_run_is_a_failure(program: Path) -> None:
    assert subprocess.run([program], check=False).returncode == 1
    assert subprocess.run([program, "--"], check=False).returncode == 1


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGWINCH, signal.SIGRTMIN + 3]
)
def test_signals_are_passed_on(program: Path, number: int) -> None:
    script = f"trap 'exit 40' {int(number)}; echo ready; while :; do sleep 0.02; done"
    with subprocess.Popen([program, "--", "/bin/bash", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 40


def test_it_waits_without_work(program: Path) -> None:
    with subprocess.Popen([program, "--", "/bin/sleep", "60"]) as process:
        time.sleep(0.3)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()

    assert int(fields[11]) + int(fields[12]) <= 1  # user and system time in ticks
    assert "VmData:\t" in status
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident <= 64


def test_the_command_has_the_signal_mask_that_the_init_was_given(program: Path) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    done = subprocess.run(
        [program, "--", "/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
        preexec_fn=block,
        capture_output=True,
        text=True,
        check=True,
    )

    masks = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert int(masks["SigBlk"], 16) == 1 << (signal.SIGUSR2 - 1)
    assert int(masks["SigIgn"], 16) & (1 << (signal.SIGTTIN - 1) | 1 << (signal.SIGTTOU - 1)) == 0


def test_the_command_leads_a_group_of_its_own(run: Run) -> None:
    fields = run("cat", "/proc/self/stat", PATH=os.environ["PATH"]).stdout.split()

    assert fields[4] == fields[0]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_file_is_small_and_nothing_of_it_is_writable(architecture: str) -> None:
    content = tiny_init.program(architecture)

    assert len(content) < 4096
    assert int.from_bytes(content[56:58], "little") == 1  # one program header
    assert int.from_bytes(content[68:72], "little") == 5  # which is read and executed


def test_another_machine_is_refused() -> None:
    with pytest.raises(Unsupported):
        tiny_init.program("riscv64")


def test_words_of_aarch64() -> None:
    """As `objdump -m aarch64` reads them back: mov, add, ldr, b.lt over one instruction, svc."""
    code = machine_code.Arm64()
    code.copy(machine_code.A, machine_code.B)
    code.load(machine_code.C, machine_code.A, 24)
    code.jump_compared(machine_code.LESS, machine_code.A, machine_code.B, "end")
    code.store_byte(machine_code.G, machine_code.RESULT)
    code.label("end")
    words = code.finish()

    found = [f"{int.from_bytes(words[place : place + 4], 'little'):08x}" for place in range(0, len(words), 4)]
    assert found == ["aa1403f3", "f9400e75", "eb14027f", "5400004b", "39000320"]
