# SPDX-License-Identifier: Apache-2.0
"""A Dockerfile's text as words: its lines, its quotes, its variables. Pure; called by `changes`.

No commands are run and no here-documents read. Source: Dockerfile reference "Format", "Environment replacement".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONTINUED = re.compile(r"\\[ \t]*$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]")


def lines(text: str) -> Iterator[str]:
    """The instructions: comments and empty lines left out, lines that end with a backslash joined with the next."""
    begun = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        joined, is_continued = _CONTINUED.subn("", line)
        begun += joined
        if not is_continued:
            yield begun.strip()
            begun = ""
    if begun.strip():
        yield begun.strip()


def split(text: str) -> list[str]:
    """The words between spaces; quotes keep words together and stay in them, as do backslashes."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if character == "\\" and quote != "'":
            character = text[position : position + 2]
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        position += len(character)
        if character.isspace() and not quote:
            words += [word] if word else []
            word = ""
        else:
            word += character
    return [*words, word] if word else words


def expand(word: str, variables: Mapping[str, str]) -> str:
    """The word without its quotes, with `$NAME`, `${NAME}`, `${NAME:-other}` and `${NAME:+other}` replaced."""
    found, quote, position = "", "", 0
    while position < len(word):
        character = word[position]
        if character == "\\" and quote != "'":
            after = word[position + 1 : position + 2]
            found += after if not quote or after in ('"', "$", "\\") else "\\" + after
            position += 2
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
            position += 1
        elif character == "$" and quote != "'":
            value, position = _variable(word, position + 1, variables)
            found += value
        else:
            found += character
            position += 1
    if quote:
        name = "double-quote" if quote == '"' else "single-quote"
        raise InvalidArgument(
            f"failed to process {word!r}: unexpected end of statement while looking for matching {name}"
        )
    return found


def _variable(word: str, position: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """The value of what follows a dollar sign, and where the text goes on."""
    if not word.startswith("{", position):
        if (name := _NAME.match(word, position)) is None:
            return "$", position
        return variables.get(name[0], ""), name.end()
    name, end = _NAME.match(word, position + 1), word.find("}", position)
    if name is None or end < 0:
        raise InvalidArgument(f"failed to process {word!r}: syntax error: bad substitution")
    value, modifier = variables.get(name[0], ""), word[name.end() : end]
    kind, other = modifier[:2], modifier[2:]
    if modifier and kind not in (":-", ":+"):
        raise InvalidArgument(f"failed to process {word!r}: unsupported modifier ({modifier[:2]}) in substitution")
    if (kind == ":-" and not value) or (kind == ":+" and value):
        value = expand(other, variables)
    return value, end + 1
