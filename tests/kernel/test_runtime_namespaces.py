# SPDX-License-Identifier: Apache-2.0
"""Namespaces by path, by user and by clock; mounts that share with the host; devices that were asked for."""

import os
import subprocess
from pathlib import Path

import pytest


def replace_namespace(spec, kind, **entry):
    kept = [each for each in spec["linux"]["namespaces"] if each["type"] != kind]
    spec["linux"]["namespaces"] = [*kept, {"type": kind, **entry}] if entry is not None else kept
    return spec


@pytest.fixture
def neighbour():
    """A process in namespaces of its own, to join."""
    with subprocess.Popen(
        ["unshare", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "sh", "-c", "echo up; exec sleep 60"],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        yield int(child)
        process.kill()


@pytest.mark.parametrize(("kind", "name"), [("network", "net"), ("uts", "uts"), ("ipc", "ipc"), ("pid", "pid")])
def test_a_namespace_is_joined_by_its_path(sandbox, neighbour, kind, name):
    spec = sandbox.spec("readlink", f"/proc/self/ns/{name}")
    spec["linux"]["sysctl"] = {}
    spec["hostname"] = ""
    path = f"/proc/{neighbour}/ns/{name}"

    answer = sandbox.run(replace_namespace(spec, kind, path=path))

    assert answer["out"].strip() == os.readlink(path)


def test_a_namespace_that_is_not_there_is_named(sandbox):
    spec = replace_namespace(sandbox.spec("true"), "network", path="/run/netns/nowhere")

    assert "/run/netns/nowhere" in sandbox.run(spec)["error"]


def test_a_user_namespace_maps_root_to_another(sandbox):
    spec = sandbox.spec("sh", "-c", "id -u; cat /proc/self/uid_map; touch /new; ls -l /dev/null; cat /proc/keys; mount")
    spec["linux"]["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = mapping
    spec["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0"}
    for directory in (sandbox.scratch, *sandbox.scratch.parents):
        if directory.owner() == "root" and "pytest" in str(directory):
            directory.chmod(directory.stat().st_mode | 0o711)

    answer = sandbox.run(spec, owner=100000)

    assert answer.get("status") == 0, answer
    lines = answer["out"].splitlines()
    assert lines[0] == "0"
    assert lines[1].split() == ["0", "100000", "65536"]
    assert lines[2].startswith("crw")
    upper = next(sandbox.scratch.glob("t*/upper"))
    assert (upper / "new").stat().st_uid == 100000


def test_a_time_namespace_has_its_offsets(sandbox):
    spec = sandbox.spec("cat", "/proc/uptime")
    spec["linux"]["namespaces"].append({"type": "time"})
    spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1_000_000}}

    assert float(sandbox.run(spec)["out"].split()[0]) > 1_000_000


def test_a_device_of_the_spec_is_made(sandbox):
    spec = sandbox.spec("stat", "-c", "%n %t:%T %a %u", "/dev/fuse", "/dev/deep/mem")
    spec["linux"]["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600, "uid": 7},
        {"path": "/dev/deep/mem", "type": "c", "major": 1, "minor": 1, "fileMode": 0o640},
    ]

    assert sandbox.run(spec)["out"].splitlines() == ["/dev/fuse a:e5 600 7", "/dev/deep/mem 1:1 640 0"]


def bind(source, target, *options):
    return {"type": "bind", "source": str(source), "destination": target, "options": list(options)}


def test_binds_of_files_and_directories_with_their_flags(sandbox, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/inside").write_text("in")
    (tmp_path / "f").write_text("file")
    spec = sandbox.spec(
        "sh", "-c", "cat /a/b/inside /etc/one; touch /a/b/x /ro/x; grep -E ' (/a/b|/ro) ' /proc/self/mountinfo"
    )
    spec["mounts"] += [
        bind(tmp_path / "d", "/a/b", "rbind", "rprivate", "nosuid"),
        bind(tmp_path / "f", "/etc/one", "bind", "ro"),
        bind(tmp_path / "d", "/ro", "rbind", "ro"),
    ]

    out = sandbox.run(spec)["out"]

    assert out.startswith("infile")
    assert "touch: /ro/x: Read-only file system" in out
    assert (tmp_path / "d/x").exists()
    options = {fields[4]: fields[5] for fields in map(str.split, out.splitlines()) if len(fields) > 8}
    assert "nosuid" in options["/a/b"]
    assert options["/ro"].startswith("ro")


def test_a_directory_on_a_file_is_refused_with_docker_s_hint(sandbox, tmp_path):
    spec = sandbox.spec("true")
    spec["mounts"].append(bind(tmp_path, "/etc/passwd", "rbind"))

    assert "Are you trying to mount a directory onto a file" in sandbox.run(spec)["error"]


def test_a_missing_bind_source_is_named(sandbox):
    spec = sandbox.spec("true")
    spec["mounts"].append(bind("/no/such/source", "/x", "rbind"))

    error = sandbox.run(spec)["error"]
    assert error == 'error mounting "/no/such/source" to rootfs at "/x": no such file or directory'


def test_an_rshared_bind_is_a_peer_of_the_host_s(sandbox, tmp_path):
    """In a private mount namespace whose own mount is shared, the container's bind has the same peer group."""
    shared = tmp_path / "shared"
    shared.mkdir()
    spec = sandbox.spec("grep", " /s ", "/proc/self/mountinfo")
    spec["mounts"].append(bind(shared, "/s", "rbind", "rshared"))
    script = (
        f"mount -t tmpfs t {shared} && mount --make-shared {shared} && "
        f"grep ' {shared} ' /proc/self/mountinfo >&2 && exec \"$@\""
    )
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *sandbox.command(spec)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    )

    host_group = next(word for word in done.stderr.split() if word.startswith("shared:"))
    assert host_group in done.stdout
