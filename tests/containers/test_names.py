# SPDX-License-Identifier: Apache-2.0
"""Names: what is allowed, what is made up, what a conflict says."""

from __future__ import annotations

import random

import pytest

from holdfast.containers import names
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize("name", ["web", "/web", "a1", "A.b-c_d", "0x"])
def test_a_good_name_loses_its_slash(name: str) -> None:
    assert names.check(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "a", "a/b", "-web", "wéb", "web\n", "//web", "."])
def test_a_bad_name_is_refused_in_dockers_words(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        names.check(name)

    assert caught.value.message == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_generated_names_are_valid_and_free() -> None:
    chance = random.Random(1)
    taken: set[str] = set()
    for _ in range(3000):
        name = names.generate(taken, chance)
        assert name not in taken
        assert names.check(name) == name
        taken.add(name)


def test_a_name_is_found_even_when_all_are_taken() -> None:
    class Everything:
        def __contains__(self, name: object) -> bool:
            return True

    assert names.check(names.generate(Everything(), random.Random(2)))


def test_the_conflict_names_the_holder() -> None:
    assert names.conflict_text("web", "abc") == (
        'Conflict. The container name "/web" is already in use by container "abc". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
