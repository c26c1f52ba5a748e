# SPDX-License-Identifier: Apache-2.0
from holdfast.cli import table


def test_columns_are_padded_to_their_widest_cell_and_never_narrower_than_ten() -> None:
    assert table.render(["A", "LONG"], [["xxx", "y"], ["z", "w"]]) == "A         LONG\nxxx       y\nz         w"
    assert table.render(["A", "B"], [["12345678", "y"]]) == "A          B\n12345678   y"


def test_escape_sequences_in_names_never_reach_the_terminal() -> None:
    shown = table.render(["NAME"], [["evil\x1b]0;title\x07"]])

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "evil?]0;title?" in shown
