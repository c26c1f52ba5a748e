# SPDX-License-Identifier: Apache-2.0
"""Tests of the real kernel need root: without it the run stops and says so, instead of passing over them."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("holdfast", deadline=None)  # a busy machine is no wrong answer
hypothesis.settings.load_profile("holdfast")
_HERE = Path(__file__).parent
_NEED_ROOT = ("kernel", "contracts", "stories", "compat", "images", "snapshots")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    needy = sorted({item.path.relative_to(_HERE).parts[0] for item in items} & set(_NEED_ROOT))
    if needy:
        raise pytest.UsageError(f"tests/{{{','.join(needy)}}} need root: run as root, or name other tests")
