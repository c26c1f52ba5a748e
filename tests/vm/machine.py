# SPDX-License-Identifier: Apache-2.0
"""A daemon in the virtual machine, with one image, and the docker CLI at it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "busybox:1.37.0-musl"
SHARED = Path(__file__).resolve().parents[3] / "shared"
HOME = Path("/var/tmp/hf-vm")
ENVIRONMENT = {**os.environ, "DOCKER_HOST": f"unix://{HOME}/d.sock"}


def docker(*words: str, check: bool = True) -> str:
    """What the CLI says, on both streams."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def sh(script: str, *flags: str, check: bool = True) -> str:
    """What a shell says in a container of its own."""
    return docker("run", "--rm", *flags, IMAGE, "sh", "-c", script, check=check)


@contextmanager
def running_daemon(*flags: str) -> Iterator[None]:
    """A fresh daemon; its log must be free of tracebacks when it is over."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    program = [sys.executable, "-m", "holdfast.daemon.main", "-H", f"unix://{HOME}/d.sock", *flags]
    program += ["--data-root", f"{HOME}/data", "--exec-root", f"{HOME}/exec", "--pidfile", f"{HOME}/pid"]
    with open(HOME / "log", "wb") as log:
        process = subprocess.Popen(program, stdout=log, stderr=log)
    while subprocess.run(["docker", "version"], env=ENVIRONMENT, capture_output=True, check=False).returncode:
        assert process.poll() is None, (HOME / "log").read_text()
        time.sleep(0.5)
    layout = f"oci:{SHARED}/images/busybox-1.37.0-musl:{IMAGE}"
    subprocess.run(["skopeo", "copy", "-q", layout, f"docker-archive:{HOME}/b.tar:{IMAGE}"], check=True)
    docker("load", "-i", f"{HOME}/b.tar")
    yield
    process.terminate()
    process.wait(60)
    assert "Traceback" not in (HOME / "log").read_text()
