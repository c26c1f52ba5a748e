# SPDX-License-Identifier: Apache-2.0
"""Where `hold cp` puts things: docs.docker.com's table, and names in archives."""

import pytest

from holdfast import errors
from holdfast.cli.copy_plan import Source, Target, base, plan, renamed, split


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        (Source("/f", is_directory=False), Target("/d", exists=True, is_directory=True), ("/d", "")),
        (Source("/f", is_directory=False), Target("/d/g", exists=True, is_directory=False), ("/d", "g")),
        (Source("/f", is_directory=False), Target("/d/new", exists=False, is_directory=False), ("/d", "new")),
        (Source("/s", is_directory=True), Target("/d", exists=True, is_directory=True), ("/d", "")),
        (Source("/s", is_directory=True), Target("/d/new", exists=False, is_directory=False), ("/d", "new")),
        (Source("/s", is_directory=True), Target("/d/new/", exists=False, is_directory=False), ("/d", "new")),
        (Source("/s/.", is_directory=True), Target("/new", exists=False, is_directory=False), ("/", "new")),
        (Source("s", is_directory=True), Target("new", exists=False, is_directory=False), (".", "new")),
    ],
)
def test_the_rules_of_cp(source: Source, target: Target, wanted: tuple[str, str]) -> None:
    assert plan(source, target) == wanted


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        (
            Source("/s", is_directory=True),
            Target("/f", exists=True, is_directory=False),
            "cannot copy directory",
        ),
        (Source("/f", is_directory=False), Target("/no/", exists=False, is_directory=False), "no such directory"),
    ],
)
def test_what_cannot_be(source: Source, target: Target, text: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=text):
        plan(source, target)


@pytest.mark.parametrize(
    ("member", "old", "new", "wanted"),
    [
        ("d/a", "d", "", "d/a"),
        ("d/", "d", "e", "e"),
        ("d/a", "d", "e", "e/a"),
        ("dd/a", "d", "e", "dd/a"),
        ("./a", ".", "e", "e/a"),
        ("/bin", "/", "e", "e/bin"),
    ],
)
def test_only_the_first_name_changes(member: str, old: str, new: str, wanted: str) -> None:
    assert renamed(member, old, new) == wanted


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("c:/x", ("c", "/x")),
        ("c:x", ("c", "x")),
        ("./a:b", ("", "./a:b")),
        ("/a:b", ("", "/a:b")),
        ("a/b:c", ("", "a/b:c")),
        ("-", ("", "-")),
    ],
)
def test_which_side_is_the_container(argument: str, wanted: tuple[str, str]) -> None:
    assert split(argument) == wanted


def test_the_last_name_of_a_path() -> None:
    assert [base(path) for path in ("/a/b", "/a/b/", "/", "a/.", "b")] == ["b", "b", "/", ".", "b"]
