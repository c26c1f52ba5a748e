# SPDX-License-Identifier: Apache-2.0
"""What the kernel tests share: root, a busybox root file system, and a maker that runs one container per call."""

import copy
import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.runtime import defaults

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGE = REPOSITORY.parent / "shared/images/busybox-1.37.0-musl"
MAKER = Path(__file__).with_name("runtime_maker.py")

Answer = dict[str, Any]


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """busybox's root file system, unpacked once; never written to."""
    if os.geteuid() != 0:
        pytest.fail("the kernel tests need root")

    def blob(digest: str) -> Path:
        return IMAGE / "blobs" / digest.replace(":", "/")

    manifest = json.loads((IMAGE / "index.json").read_text())
    while "layers" not in manifest:
        manifest = json.loads(blob(manifest["manifests"][0]["digest"]).read_text())
    root = tmp_path_factory.mktemp("busybox")
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer["digest"])) as archive:
            archive.extraction_filter = lambda member, path: member  # Debian 12's Python knows no `filter=`
            archive.extractall(root)
    return root


def default_spec(*args: str, **process: Any) -> dict[str, Any]:
    """The spec that Docker's defaults make, as JSON."""
    names = list(defaults.CAPABILITIES)
    return copy.deepcopy(
        {
            "ociVersion": "1.2.0",
            "process": {
                "args": list(args),
                "env": [f"PATH={defaults.PATH}", "HOME=/root"],
                "cwd": "/",
                "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
                "capabilities": {"bounding": names, "effective": names, "permitted": names},
                **process,
            },
            "root": {"path": "unused"},
            "hostname": "sandbox",
            "mounts": [
                {"type": kind, "source": source, "destination": target, "options": list(options)}
                for kind, source, target, options in defaults.MOUNTS
                if kind != "cgroup"
            ],
            "linux": {
                "namespaces": [{"type": name} for name in defaults.NAMESPACES],
                "maskedPaths": list(defaults.MASKED_PATHS),
                "readonlyPaths": list(defaults.READONLY_PATHS),
                "sysctl": defaults.SYSCTLS,
            },
        }
    )


class Sandbox:
    """Runs containers, each on a fresh overlay of busybox."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root
        self.scratch = scratch

    def lower(self) -> Path:
        """A directory to put an image's own files into; it lies above busybox."""
        made = self.scratch / f"lower-{uuid.uuid4().hex[:8]}"
        made.mkdir()
        return made

    def spec(self, *args: str, **process: Any) -> dict[str, Any]:
        """A default spec."""
        return default_spec(*args, **process)

    def command(self, spec: dict[str, Any], *, above: Path | None = None, owner: int = 0, **request: Any) -> list[str]:
        """The maker's command line; `owner` is the host's uid and gid of the upper directory."""
        name = f"t{uuid.uuid4().hex[:12]}"
        bundle = self.scratch / name
        for part in ("upper", "work"):
            (bundle / part).mkdir(parents=True)
            os.chown(bundle / part, owner, owner)
        lowers = f"{above}:{self.root}" if above else str(self.root)
        options = [f"lowerdir={lowers}", f"upperdir={bundle}/upper", f"workdir={bundle}/work"]
        overlay = {"type": "overlay", "source": "overlay", "destination": "/", "options": options}
        mounts = None if request.pop("bare", False) else [overlay]
        document = {"id": name, "spec": spec, "bundle": str(bundle), "rootfs_mounts": mounts, **request}
        return [sys.executable, str(MAKER), json.dumps(document)]

    def run(self, spec: dict[str, Any], *, above: Path | None = None, **request: Any) -> Answer:
        """Runs one container to its end: out, status, execs, or error and step; always `leaked` descriptors."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        command = self.command(spec, above=above, **request)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        answer: Answer = json.loads(done.stdout)
        assert answer["leaked"] == []
        return answer

    def shell(self, script: str, **request: Any) -> str:
        """What a shell script printed in a default container; it must succeed."""
        answer = self.run(self.spec("sh", "-ec", script), **request)
        assert answer.get("status") == 0, answer
        return answer["out"]


@pytest.fixture
def sandbox(busybox: Path, tmp_path: Path) -> Sandbox:
    """Runs containers in this test's own directory."""
    return Sandbox(busybox, tmp_path)


@pytest.fixture
def host_mounts() -> Callable[[], list[str]]:
    """The host's mount points, to compare before and after, without those of the daemons that tests beside us run."""

    def read() -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = (line.split()[4] for line in lines if " - nsfs " not in line)
        return sorted(point for point in points if not point.startswith(("/var/tmp/", "/run/netns")))

    return read
