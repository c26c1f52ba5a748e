# SPDX-License-Identifier: Apache-2.0
"""Tests of the real kernel need root: without it the run stops and says so, instead of passing over them."""

import os
from pathlib import Path

import hypothesis
import pytest

# The same commit gives the same answer: examples come from the test, not from chance. `make explore` looks for new ones.
hypothesis.settings.register_profile("holdfast", deadline=None, derandomize=True)  # a busy machine is no wrong answer
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "holdfast"))
_HERE = Path(__file__).parent
_NEED_ROOT = ("kernel", "contracts", "stories", "compat", "images", "snapshots")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    needy = sorted({item.path.relative_to(_HERE).parts[0] for item in items} & set(_NEED_ROOT))
    if needy:
        raise pytest.UsageError(f"tests/{{{','.join(needy)}}} need root: run as root, or name other tests")
