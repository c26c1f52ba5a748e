# SPDX-License-Identifier: Apache-2.0
"""Known attacks on container runtimes, each by its name in security.md §2.1; the host side is checked too."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def bind(source: Path | str, target: str, *options: str) -> dict[str, object]:
    return {"type": "bind", "source": str(source), "destination": target, "options": ["rbind", "rprivate", *options]}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that nothing may touch."""
    made = tmp_path / "canary"
    made.mkdir()
    (made / "file").write_text("untouched")
    return made


def assert_untouched(canary: Path) -> None:
    assert sorted(os.listdir(canary)) == ["file"]
    assert (canary / "file").read_text() == "untouched"


@pytest.mark.parametrize("number", [3, 5, 7, 9, 12, 20, 45])
def test_cve_2024_21626_a_descriptor_is_no_working_directory(sandbox, number):
    answer = sandbox.run(sandbox.spec("pwd", cwd=f"/proc/self/fd/{number}"), leaked=[45])

    assert answer["step"] == "cwd"
    assert f'chdir to cwd ("/proc/self/fd/{number}")' in answer["error"]


def test_cve_2024_21626_nor_that_of_an_exec(sandbox):
    execs = [sandbox.spec("pwd", cwd=f"/proc/self/fd/{n}")["process"] for n in range(3, 20)]
    answer = sandbox.run(sandbox.spec("sleep", "30"), execs=execs, leaked=[45], kill=True)

    assert {each.get("step") for each in answer["execs"]} == {"cwd"}


def test_cve_2021_30465_a_link_in_the_image_leads_nowhere_outside(sandbox, canary, host_mounts, tmp_path):
    image = sandbox.lower()
    (image / "climb").symlink_to("../../../../../" + str(canary))
    (image / "absolute").symlink_to(canary)
    (tmp_path / "volume").mkdir()
    before = host_mounts()
    spec = sandbox.spec("sh", "-c", f"ls -d {canary}/one {canary}/two")
    spec["mounts"] += [bind(tmp_path / "volume", "/climb/one"), bind(tmp_path / "volume", "/absolute/two")]

    answer = sandbox.run(spec, above=image)

    assert answer["status"] == 0, answer
    assert_untouched(canary)
    assert host_mounts() == before


def test_cve_2021_30465_a_target_that_is_swapped_all_the_time_stays_inside(sandbox, canary, host_mounts, tmp_path):
    volume = tmp_path / "volume"
    (volume / "d").mkdir(parents=True)
    (volume / "link").symlink_to("../../../../../../" + str(canary))
    before = host_mounts()
    swapper = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os,sys,shutil\nos.chdir(sys.argv[1])\nwhile True:\n os.rename('d','x')\n"
            " try: os.rename('link','d')\n except IsADirectoryError: shutil.rmtree('d'); os.rename('link','d')\n"
            " os.rename('d','link'); os.rename('x','d')",  # the runtime makes `d` where it finds none
            str(volume),
        ]
    )
    try:
        spec = sandbox.spec("true")
        spec["mounts"] += [bind(volume, "/v"), bind(tmp_path, "/v/d/sub")]
        answers = [sandbox.run(spec) for _ in range(12)]
    finally:
        swapper.kill()
        swapper.wait()

    assert_untouched(canary)
    assert host_mounts() == before
    assert all(answer.get("status") == 0 or answer["step"] == "mounts" for answer in answers)


def test_cve_2025_31133_a_swapped_null_device_is_not_used_for_masks(sandbox, tmp_path):
    dev = tmp_path / "dev"
    dev.mkdir()
    (dev / "null").symlink_to("/proc/self/comm")
    spec = sandbox.spec("sh", "-c", "grep ' /proc/keys ' /proc/self/mountinfo; echo x > /dev/null; cat /proc/keys")
    spec["mounts"] = [mount for mount in spec["mounts"] if not mount["destination"].startswith("/dev")]
    spec["mounts"].append(bind(dev, "/dev"))

    lines = sandbox.run(spec)["out"].splitlines()

    assert len(lines) == 1
    assert lines[0].split()[3] == "/null"
    assert lines[0].split(" - ")[1].split()[0] in ("devtmpfs", "tmpfs")


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/sys", "/proc/1", "/proc/self", "/pp", "/pp/sys", "/x/../proc/kcore"]
)
def test_nothing_is_mounted_over_proc(sandbox, canary, target):
    image = sandbox.lower()
    (image / "pp").symlink_to("/proc")
    spec = sandbox.spec("true")
    spec["mounts"].append(bind(canary, target))

    answer = sandbox.run(spec, above=image)

    assert "cannot be mounted because it is inside /proc" in answer["error"]
    assert_untouched(canary)


def test_lxcfs_files_may_cover_proc(sandbox, canary):
    spec = sandbox.spec("cat", "/proc/meminfo")
    spec["mounts"].append(bind(canary / "file", "/proc/meminfo"))

    assert sandbox.run(spec)["out"] == "untouched"


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_cve_2019_19921_an_image_whose_system_directory_is_a_link(sandbox, canary, tmp_path, name):
    image = tmp_path / "image"
    subprocess.run(["cp", "-a", sandbox.root, image], check=True)  # device nodes stay nodes: one of them has no end
    if (image / name).exists():
        shutil.rmtree(image / name)
    (image / name).symlink_to(canary)
    sandbox.root = image

    answer = sandbox.run(sandbox.spec("true"))

    assert answer.get("status") == 0 or "ordinary directory" in answer["error"], answer
    assert_untouched(canary)


@pytest.mark.parametrize(
    ("name", "value"),
    [("kernel.core_pattern", "x"), ("vm.swappiness", "1"), ("net/../kernel/core_pattern", "x"), ("net..ipv4", "1")],
)
def test_cve_2022_0811_a_sysctl_of_the_host_is_refused(sandbox, name, value):
    spec = sandbox.spec("true")
    spec["linux"]["sysctl"] = {name: value}

    assert sandbox.run(spec)["step"] == "plan"


def test_tiocsti_has_no_terminal_to_push_into(sandbox):
    answer = sandbox.run(sandbox.spec("sh", "-c", "tty; : < /dev/tty"))

    assert "not a tty" in answer["out"]
    assert "No such device or address" in answer["out"]


def test_the_init_s_executable_is_nobody_s_to_see(sandbox):
    """CVE-2019-5736: no process of ours is visible and readable while execs come in."""
    execs = [sandbox.spec("true")["process"] for _ in range(10)]
    script = "i=0; while [ $i -lt 400 ]; do readlink /proc/[0-9]*/exe; i=$((i+1)); done | sort -u"
    answer = sandbox.run(sandbox.spec("sh", "-c", script), execs=execs)

    assert "python" not in answer["out"]


def test_a_failing_start_leaves_no_mount_and_no_process(sandbox, host_mounts):
    before = host_mounts()

    for args in (["nosuch"], ["/etc"], ["/etc/passwd"], ["/no/such"]):
        assert sandbox.run(sandbox.spec(*args))["step"] == "exec"

    assert host_mounts() == before


def test_r1_after_the_root_switch_only_listed_files_are_opened(sandbox, tmp_path):
    assert shutil.which("strace"), "strace is missing: apt-get install strace"
    trace = tmp_path / "trace"
    command = sandbox.command(sandbox.spec("/bin/true"))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    subprocess.run(
        ["strace", "-f", "-o", str(trace), "-e", "trace=open,openat,openat2,execve,pivot_root,chdir", *command],
        check=True,
        capture_output=True,
        env=environment,
        timeout=120,
    )

    lines = trace.read_text().splitlines()
    init = next(line.split()[0] for line in lines if "pivot_root(" in line)
    mine = [line.split(maxsplit=1)[1] for line in lines if line.split()[0] == init]
    after = mine[next(i for i, line in enumerate(mine) if line.startswith("pivot_root(")) + 1 :]
    until = next(i for i, line in enumerate(after) if line.startswith("execve("))
    opened = [line for line in after[:until] if line.startswith("open")]
    assert len(opened) <= 1
    assert all(line.startswith('openat2(AT_FDCWD, "/"') for line in opened)
    assert sum(line.startswith("execve(") for line in mine) == 1


@pytest.mark.parametrize("entry", ["/proc/self/exe", "/entry"])
def test_cve_2019_5736_nothing_that_we_execute_changes(sandbox, entry):
    """A container is started on its own starter's name, and writes to whatever /proc shows while execs come in."""
    image = sandbox.lower()
    (image / "entry").symlink_to("/proc/self/exe")
    code = [Path(os.path.realpath(sys.executable)), *sorted((REPOSITORY / "src/holdfast").rglob("*.py"))]
    before = [hashlib.sha256(file.read_bytes()).digest() for file in code]

    own = sandbox.run(sandbox.spec(entry), above=image)
    script = (
        'i=0; while [ $i -lt 200 ]; do for each in /proc/[0-9]*/exe; do case "$(readlink $each)" in /bin/*|"") ;;'
        " *) readlink $each; echo owned >> $each;; esac; done; i=$((i+1)); done 2>/dev/null"
    )
    execs = [sandbox.spec(entry)["process"] for _ in range(10)]
    answer = sandbox.run(sandbox.spec("sh", "-c", script), above=image, execs=execs)

    assert own.get("step") == "exec" or "applet" in own["out"], own
    assert answer["out"] == ""
    assert [hashlib.sha256(file.read_bytes()).digest() for file in code] == before
