# SPDX-License-Identifier: Apache-2.0
"""The mount value and the lightness of its import."""

import subprocess
import sys

from holdfast.oci.mount import Mount


def test_round_trips_through_the_oci_object() -> None:
    mount = Mount("overlay", "overlay", "/", ("lowerdir=/a:/b", "ro"))

    assert mount.to_json()["destination"] == "/"
    assert Mount.from_json(mount.to_json()) == mount
    assert Mount.from_json({"destination": "/x"}) == Mount("", "", "/x")


def test_importing_it_brings_neither_msgspec_nor_typing() -> None:
    code = (
        "import sys, holdfast.oci.mount; print(sorted({'msgspec', 'typing', 're', 'dataclasses'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert done.stdout.strip() == "[]"
