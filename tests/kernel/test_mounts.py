# SPDX-License-Identifier: Apache-2.0
"""What a container's mounts look like from inside, and what they cannot be made to show."""

import os
import subprocess
import threading
from pathlib import Path

import pytest


def bind(source: Path | str, target: str, *options: str, **more: object) -> dict[str, object]:
    words = ["rbind", "rprivate", *options]
    return {"type": "bind", "source": str(source), "destination": target, "options": words, **more}


def mapping(first: int, outside: int, count: int = 1) -> list[dict[str, int]]:
    return [{"containerID": first, "hostID": outside, "size": count}]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with a directory, a file and links that lead inside and outside."""
    made = tmp_path / "volume"
    (made / "sub").mkdir(parents=True)
    (made / "sub/file").write_text("inside")
    (made / "inner").symlink_to("sub")
    (made / "absolute").symlink_to("/etc")
    (made / "climb").symlink_to("../..")
    return made


@pytest.mark.parametrize("subpath", ["sub", "inner", "sub/../sub"])
def test_a_subpath_shows_that_part_of_a_volume(sandbox, volume, subpath):
    spec = sandbox.spec("cat", "/v/file")
    spec["mounts"].append(bind(volume, "/v", subpath=subpath))

    assert sandbox.run(spec)["out"] == "inside"


def test_a_subpath_can_be_a_file(sandbox, volume):
    spec = sandbox.spec("cat", "/v")
    spec["mounts"].append(bind(volume, "/v", subpath="sub/file"))

    assert sandbox.run(spec)["out"] == "inside"


@pytest.mark.parametrize(
    ("subpath", "text"),
    [
        ("absolute", "path concatenation escapes the base directory"),
        ("climb", "path concatenation escapes the base directory"),
        ("../volume", "path concatenation escapes the base directory"),
        ("nowhere", "no such file or directory"),
    ],
)
def test_a_subpath_that_leads_outside_is_refused(sandbox, volume, subpath, text):
    spec = sandbox.spec("true")
    spec["mounts"].append(bind(volume, "/v", subpath=subpath))

    assert text in sandbox.run(spec)["error"]


def test_cve_2021_25741_a_subpath_that_is_swapped_all_the_time_shows_nothing_outside(sandbox, tmp_path):
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    (volume / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").touch()
    (volume / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for first, second in (("sub", "away"), ("link", "sub"), ("sub", "link"), ("away", "sub")):
                os.rename(volume / first, volume / second)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = []
    try:
        for _ in range(25):
            spec = sandbox.spec("ls", "/v")
            spec["mounts"].append(bind(volume, "/v", subpath="sub"))
            seen.append(sandbox.run(spec))
    finally:
        stop.set()
        thread.join()

    assert all("secret" not in answer.get("out", "") for answer in seen)
    assert all("out" in answer or "mounts" in answer["step"] for answer in seen)


def image(sandbox, **more: object) -> dict[str, object]:
    upper = sandbox.lower()
    (upper / "part").mkdir()
    (upper / "part/file").write_text("of the image")
    (upper / "away").symlink_to("/etc")
    options = [f"lowerdir={upper}:{sandbox.root}", "ro"]
    return {"type": "overlay", "source": "overlay", "destination": "/image", "options": options, **more}


def test_an_image_can_be_mounted(sandbox):
    spec = sandbox.spec("sh", "-c", "cat /image/part/file; ls /image/bin/sh; touch /image/new")
    spec["mounts"].append(image(sandbox))

    out = sandbox.run(spec)["out"]

    assert "of the image/image/bin/sh" in out
    assert "Read-only file system" in out


@pytest.mark.parametrize(("subpath", "path"), [("part", "/image/file"), ("part/file", "/image")])
def test_a_part_of_an_image_can_be_mounted_and_nothing_else_stays(sandbox, subpath, path):
    spec = sandbox.spec(
        "sh", "-c", f"cat {path}; echo; grep -c overlay /proc/self/mountinfo; ls -d /bin; touch /image/x"
    )
    spec["mounts"].append(image(sandbox, subpath=subpath))

    lines = sandbox.run(spec)["out"].splitlines()

    assert lines[:3] == ["of the image", "2", "/bin"]
    assert len(lines) == 4


def test_a_part_of_an_image_that_leads_outside_is_refused(sandbox):
    spec = sandbox.spec("true")
    spec["mounts"].append(image(sandbox, subpath="away"))

    assert "escapes the base directory" in sandbox.run(spec)["error"]


def test_an_idmapped_mount_shows_other_owners_and_writes_as_them(sandbox, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "theirs").touch()
    os.chown(shared, 1000, 1000)
    os.chown(shared / "theirs", 1000, 1001)
    spec = sandbox.spec("sh", "-c", "stat -c '%u %g' /s/theirs; touch /s/ours; chown 5:5 /s/ours || echo refused")
    maps = {"uidMappings": mapping(1000, 0), "gidMappings": [*mapping(1001, 7), *mapping(1000, 0)]}
    spec["mounts"].append(bind(shared, "/s", "idmap", **maps))

    answer = sandbox.run(spec)

    assert answer["out"].splitlines()[0] == "0 7", answer
    assert answer["out"].endswith("refused\n")
    assert (shared / "ours").stat().st_uid == 1000
    assert (shared / "ours").stat().st_gid == 1000


def test_an_idmapped_mount_without_maps_takes_those_of_the_container(sandbox, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").touch()
    for directory in (sandbox.scratch, *sandbox.scratch.parents):
        if directory.owner() == "root" and "pytest" in str(directory):
            directory.chmod(directory.stat().st_mode | 0o711)
    spec = sandbox.spec("sh", "-c", "stat -c %u /s/file /o/file; touch /s/new")
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = mapping(0, 100000, 65536)
    spec["linux"]["sysctl"] = {}
    spec["mounts"] += [bind(tmp_path / "shared", "/s", "idmap"), bind(tmp_path / "shared", "/o")]

    answer = sandbox.run(spec, owner=100000)

    assert answer["out"].splitlines() == ["0", "65534"], answer
    assert (tmp_path / "shared/new").stat().st_uid == 0


def test_id_maps_that_say_nothing_are_refused(sandbox, tmp_path):
    spec = sandbox.spec("true")
    spec["mounts"].append(bind(tmp_path, "/s", "idmap"))

    assert "has no id mapping" in sandbox.run(spec)["error"]


@pytest.mark.parametrize(("word", "inner"), [("rro", "ro"), ("ro", "rw")])
def test_read_only_with_all_that_is_below_or_without(sandbox, word, inner):
    spec = sandbox.spec("grep", " /s[ /]", "/proc/self/mountinfo")
    spec["mounts"].append(bind("/sys", "/s", word))

    words = {line.split()[4]: line.split()[5].split(",")[0] for line in sandbox.run(spec)["out"].splitlines()}

    assert words.pop("/s") == "ro"
    assert words
    assert set(words.values()) == {inner}


def in_private_namespace(sandbox, tmp_path: Path, spec: dict[str, object], prepare: str, then: str) -> str:
    """Runs the container and a script beside it where /mnt-like mounts can be shared with nobody else."""
    command = sandbox.command(spec)
    (tmp_path / "request").write_text(command[2])
    script = (
        f'set -e; mount --make-rprivate /; {prepare}; {command[0]} {command[1]} "$(cat {tmp_path}/request)"; {then}'
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("propagation", "comes_out"), [("rshared", True), ("rslave", False), ("rprivate", False)])
def test_what_a_container_mounts_reaches_the_host_through_a_shared_bind_only(sandbox, tmp_path, propagation, comes_out):
    (tmp_path / "s").mkdir()
    spec = sandbox.spec("sh", "-c", "mkdir /s/d && mount -t tmpfs inside /s/d && touch /s/d/f && echo mounted")
    for each in spec["process"]["capabilities"].values():
        each.append("CAP_SYS_ADMIN")
    spec["mounts"].append({**bind(tmp_path / "s", "/s"), "options": ["rbind", propagation]})
    if propagation == "rshared":
        spec["linux"]["rootfsPropagation"] = "shared"

    out = in_private_namespace(
        sandbox,
        tmp_path,
        spec,
        f"mount -t tmpfs t {tmp_path}/s; mount --make-shared {tmp_path}/s",
        f"echo; ls {tmp_path}/s/d",
    )

    assert "mounted" in out
    assert (out.splitlines()[-1] == "f") is comes_out
