# SPDX-License-Identifier: Apache-2.0
"""runc's flag grammar: `--name value`, `--name=value`, one dash or two, short names; flags end at the first argument.

`parse` knows no verb; `runtime.main` calls it with the global table and then with the verb's.
"""

from __future__ import annotations

from holdfast.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Table = Mapping[str, str]

SWITCH = "switch"
VALUE = "value"
MANY = "many"
NUMBER = "number"

_TRUE = ("true", "1", "t", "T", "TRUE", "True")
_FALSE = ("false", "0", "f", "F", "FALSE", "False")


class Flags:
    """Parsed flags by their long names, and the arguments that follow."""

    __slots__ = ("_numbers", "_switches", "_values", "arguments")

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)
        self._switches: dict[str, bool] = {}
        self._values: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}

    def switch(self, name: str) -> bool:
        """Whether a switch was given (`--name=false` is not)."""
        return self._switches.get(name, False)

    def text(self, name: str, default: str = "") -> str:
        """The last value of a flag."""
        return self._values.get(name, [default])[-1]

    def many(self, name: str) -> list[str]:
        """All values of a flag, in order."""
        return self._values.get(name, [])

    def number(self, name: str) -> int | None:
        """The last value of a numeric flag; None when it was not given."""
        return self._numbers.get(name)

    def take(self, name: str, kind: str, value: str) -> None:
        """Notes one flag; InvalidArgument when the value is not of its kind."""
        if kind == SWITCH:
            if value not in _TRUE + _FALSE:
                raise InvalidArgument(f'invalid boolean value "{value}" for -{name}')
            self._switches[name] = value in _TRUE
        elif kind == NUMBER:
            try:
                self._numbers[name] = int(value, 0)
            except ValueError:
                raise InvalidArgument(f'invalid value "{value}" for flag -{name}: it must be a number') from None
        else:
            self._values.setdefault(name, []).append(value)


def parse(table: Table, words: Sequence[str]) -> Flags:
    """Reads flags up to the first argument or `--`. `table`: {"name": kind} or {"n,name": kind}."""
    kinds: dict[str, tuple[str, str]] = {}
    for names, kind in table.items():
        long = names.split(",")[-1]
        kinds.update((name, (long, kind)) for name in names.split(","))
    position = 0
    flags = Flags(())
    while position < len(words):
        word = words[position]
        if word == "--":
            position += 1
            break
        if not word.startswith("-") or word == "-":
            break
        position += 1
        name, equals, value = word.lstrip("-").partition("=")
        if name not in kinds:
            raise InvalidArgument(f"flag provided but not defined: -{name}")
        long, kind = kinds[name]
        if not equals and kind == SWITCH:
            value = "true"
        elif not equals:
            if position == len(words):
                raise InvalidArgument(f"flag needs an argument: -{name}")
            value = words[position]
            position += 1
        flags.take(long, kind, value)
    flags.arguments = list(words[position:])
    return flags
