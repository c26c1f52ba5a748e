# SPDX-License-Identifier: Apache-2.0
"""fs-verity on an ext4 of the test's own: sealed where this kernel has it, nothing done where it has not."""

import os
import subprocess
import sys
from pathlib import Path

from holdfast.kernel import verity

HAS_VERITY = Path("/sys/fs/ext4/features/verity").exists()
"""Whether the kernel was built with CONFIG_FS_VERITY; Debian's are."""

SEALED = """
import os, subprocess, sys
from holdfast.kernel import verity
point, image = sys.argv[1:]
subprocess.run(["mount", "-o", "loop", image, point], check=True)
path = point + "/layer"
with open(path, "wb") as file:
    file.write(b"A" * 20_000 + b"canary" * 2000)
digest = verity.enable(path)
if not digest:
    open(path, "r+b").close()
    raise SystemExit(print("not here"))
assert digest.startswith("sha256:") and len(digest) == 71, digest
assert verity.measure(path) == digest == verity.enable(path)
try:
    open(path, "r+b")
    raise SystemExit("it can still be written")
except PermissionError:
    pass
subprocess.run(["umount", point], check=True)
with open(image, "r+b") as file:
    data = file.read()
    file.seek(data.index(b"canarycanary"))
    file.write(b"CANARY")
subprocess.run(["mount", "-o", "loop", image, point], check=True)
assert verity.measure(path) == digest
try:
    open(path, "rb").read()
    raise SystemExit("what the disk has changed was read")
except OSError as error:
    print(os.strerror(error.errno))
"""


def test_where_there_is_no_verity_a_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10_000)

    assert verity.enable("/dev/shm") == ""  # tmpfs has none with any kernel
    assert verity.measure(str(path)) == ""

    path.write_bytes(b"y")


def test_a_sealed_file_is_never_read_otherwise(tmp_path: Path) -> None:
    image = tmp_path / "ext4"
    with open(image, "wb") as file:
        os.truncate(file.fileno(), 32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "verity", "-b", "4096", str(image)], check=True)
    (tmp_path / "point").mkdir()

    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", SEALED, tmp_path / "point", image],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ("Input/output error\n" if HAS_VERITY else "not here\n"), done.stderr
