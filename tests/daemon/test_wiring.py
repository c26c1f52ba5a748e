# SPDX-License-Identifier: Apache-2.0
"""The installation's id."""

import pytest

from holdfast.daemon import wiring


def test_an_installation_keeps_the_id_that_it_made(tmp_path):
    made = wiring.daemon_id(str(tmp_path))

    assert len(made) == 36
    assert wiring.daemon_id(str(tmp_path)) == made


def test_an_administrator_may_choose_the_id(tmp_path):
    (tmp_path / "engine-id").write_text("the-one-in-the-cellar\n")

    assert wiring.daemon_id(str(tmp_path)) == "the-one-in-the-cellar"


@pytest.mark.parametrize("content", ["", "\n", "a\x1b[0m", "x" * 300, "ü"])
def test_what_is_no_id_is_replaced(tmp_path, content):
    (tmp_path / "engine-id").write_text(content)

    made = wiring.daemon_id(str(tmp_path))

    assert len(made) == 36
    assert (tmp_path / "engine-id").read_text() == made
