# SPDX-License-Identifier: Apache-2.0
"""Writing out early is a hint: it works on files and harms nothing else."""

import os
from pathlib import Path

import pytest

from holdfast.kernel import writeback


def test_a_file_may_be_written_out_early(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b", buffering=0) as file:
        file.write(b"x" * 100_000)

        writeback.start(file.fileno(), 0, 50_000)

        assert os.pread(file.fileno(), 200_000, 0) == b"x" * 100_000


def test_what_is_no_file_is_passed_over() -> None:
    reader, writer = os.pipe()
    try:
        writeback.start(writer, 0, 4096)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_closed_descriptor_is_a_mistake() -> None:
    with pytest.raises(OSError):
        writeback.start(9999, 0, 4096)
