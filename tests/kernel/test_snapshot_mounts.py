# SPDX-License-Identifier: Apache-2.0
"""The mounts that the drivers hand out, mounted: the kernel shows what the layers mean, and writes stay in the top."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from holdfast import snapshots
from holdfast.oci import digest
from holdfast.oci.mount import Mount
from holdfast.snapshots import factory
from holdfast.snapshots.tar import Entry, Kind, Writer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")

LOOK = """
import json, os, sys
from holdfast.kernel import mount, overlay
spec = json.loads(sys.argv[1])
target, options = sys.argv[2], tuple(spec["options"])
if spec["type"] == "overlay":
    fd = overlay.new([o for o in options if o != "ro"])
else:
    fd = mount.clone(spec["source"], recursive=True)
if "ro" in options:
    mount.set_attributes(fd, add=mount.ATTR_RDONLY)
mount.attach_at(fd, target)
found = sorted(os.path.relpath(os.path.join(b, n), target) for b, d, f in os.walk(target) for n in d + f)
try:
    open(target + "/written", "w").close()
    found.append("WRITABLE")
except OSError as error:
    found.append(error.strerror)
print(json.dumps(found))
"""


def tar_of(*names: str) -> BytesIO:
    buffer = BytesIO()
    writer = Writer(buffer)
    for name in names:
        is_directory = name.endswith("/")
        writer.add(Entry(name.encode(), Kind.DIRECTORY if is_directory else Kind.FILE, mode=0o755))
    writer.close()
    buffer.seek(0)
    return buffer


def mounted(mounts: list[Mount], target: Path) -> list[str]:
    """What a process in a mount namespace of its own sees; the last item tells whether it may write."""
    (mount,) = mounts
    target.mkdir(exist_ok=True)
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", LOOK]
    done = subprocess.run(
        [*command, json.dumps(mount.to_json()), str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: list[str] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", factory.drivers())
def test_the_kernel_shows_what_the_layers_mean(name: str, tmp_path: Path) -> None:
    driver = snapshots.open_driver(name, str(tmp_path / "data"))
    base, top = digest.of(b"base"), digest.of(b"top")
    for chain, parent, names in (
        (base, None, ("keep", "gone", "dir/", "dir/old", "sub/", "sub/old")),
        (top, base, (".wh.gone", "dir/", "dir/.wh..wh..opq", "dir/new", "sub/", "sub/new")),
    ):
        driver.prepare("unpack", parent)
        driver.apply("unpack", tar_of(*names))
        driver.commit(chain, "unpack")
    expected = ["dir", "dir/new", "keep", "sub", "sub/new", "sub/old"]

    assert mounted(driver.view("view", top), tmp_path / "m") == [*expected, "Read-only file system"]
    assert mounted(driver.view("base-view", base), tmp_path / "m")[-1] == "Read-only file system"
    assert mounted(driver.prepare("key", top), tmp_path / "m") == [*expected, "WRITABLE"]
    assert "written" in os.listdir(driver.layers("key")[0])
    assert mounted(driver.view("again", top), tmp_path / "m") == [*expected, "Read-only file system"]
    driver.remove("key")
    assert not driver.exists("key")


def test_a_stack_of_many_layers_mounts(tmp_path: Path) -> None:
    driver = snapshots.open_driver("overlay2", str(tmp_path / "data"))
    parent = None
    for number in range(130):
        driver.prepare("unpack", parent)
        driver.apply("unpack", tar_of(f"f{number}"))
        parent = digest.of(str(number).encode())
        driver.commit(parent, "unpack")

    assert len(mounted(driver.prepare("key", parent), tmp_path / "m")) == 131
