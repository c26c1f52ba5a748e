# SPDX-License-Identifier: Apache-2.0
"""holdfastd's command line, in pflag's grammar: `--name value`, `--name=value`, `-Hvalue`, `-D`, `--icc=false`.

Called by `daemon.config`. Source: the behaviour of dockerd 28.5; pflag's documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from holdfast.daemon import options
from holdfast.daemon.options import Option
from holdfast.errors import InvalidArgument

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def parse(arguments: Sequence[str]) -> dict[str, object]:
    """The options that were given, by name; InvalidArgument in pflag's words."""
    given: dict[str, object] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            raise InvalidArgument('"holdfastd" accepts no arguments')
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            option = options.BY_NAME.get(name)
            if option is None:
                raise InvalidArgument(f"unknown flag: --{name}")
            _take(given, option, value if equals else None, rest, f"--{name}")
        else:
            _take_short(given, word[1:], rest)
    return given


def _take_short(given: dict[str, object], letters: str, rest: list[str]) -> None:
    """`-DH x` is `-D -H x`; a flag that takes a value takes the rest of the word."""
    while letters:
        option = options.BY_SHORT.get(letters[0])
        if option is None:
            raise InvalidArgument(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
        name, letters = f"-{letters[0]}, --{option.name}", letters[1:]
        if option.kind == "flag" and not letters.startswith("="):
            _take(given, option, None, rest, name)
            continue
        _take(given, option, letters.removeprefix("=") if letters else None, rest, name)
        return


def _take(given: dict[str, object], option: Option, value: str | None, rest: list[str], shown: str) -> None:
    if value is None:
        if option.kind == "flag":
            value = "true"
        elif not rest:
            raise InvalidArgument(f"flag needs an argument: {shown}")
        else:
            value = rest.pop(0)
    if option.kind == "texts":
        before = cast("tuple[str, ...]", given.get(option.name, ()))
        given[option.name] = (*before, value)
    elif option.kind == "groups":
        group, _, pair = value.partition("=")
        key, equals, text = pair.partition("=")
        if not (group and key and equals):
            raise InvalidArgument(f'invalid argument "{value}" for "{shown}" flag: expected NAME=KEY=VALUE')
        groups = cast("dict[str, dict[str, str]]", given.get(option.name, {}))
        given[option.name] = {**groups, group: {**groups.get(group, {}), key: text}}
    elif option.kind == "pairs":
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise InvalidArgument(f'invalid argument "{value}" for "{shown}" flag: expected KEY=VALUE')
        before_pairs = cast("dict[str, object]", given.get(option.name, {}))
        given[option.name] = {**before_pairs, key: text}
    elif option.kind == "switches":
        key, equals, text = value.partition("=")
        before_switches = cast("dict[str, object]", given.get(option.name, {}))
        given[option.name] = {**before_switches, key: _switch(value, text if equals else "true", shown)}
    else:
        given[option.name] = _scalar(option, value, shown)


def _switch(given: str, value: str, shown: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise InvalidArgument(
            f'invalid argument "{given}" for "{shown}" flag: strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    return value in _TRUE


def _scalar(option: Option, value: str, shown: str) -> object:
    if option.kind == "flag":
        if value in _TRUE or value in _FALSE:
            return value in _TRUE
        why = "strconv.ParseBool"
    elif option.kind == "number":
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int(value)
        why = "strconv.ParseInt"
    else:
        return value
    raise InvalidArgument(f'invalid argument "{value}" for "{shown}" flag: {why}: parsing "{value}": invalid syntax')


def usage() -> str:
    """The text of --help."""
    lines = ["Usage:  holdfastd [OPTIONS]", "", "A container platform that speaks Docker's language.", "", "Options:"]
    words = {"flag": "", "text": " string", "texts": " list", "number": " int"}
    for option in sorted(options.USED, key=lambda option: option.name):
        short = f"-{option.short}," if option.short else "   "
        text = option.help
        if option.default not in ("", (), False) and option.default != {}:
            shown = f'"{option.default}"' if option.kind == "text" else str(option.default).lower()
            text += f" (default {shown})"
        lines.append(f"  {short} --{option.name + words.get(option.kind, ' map'):<34}{text}")
    return "\n".join(lines) + "\n"
