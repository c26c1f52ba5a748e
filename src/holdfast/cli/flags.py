# SPDX-License-Identifier: Apache-2.0
"""Command-line flags as Go's pflag reads them, from one table per command that also renders the help.

`--rm=false`, `-it=false`, `-e=A=1`, `-eA=1`, clusters, `--`, and options that end at the first argument (`interspersed=False`)
all mean what they mean to the docker CLI; the error texts are pflag's. Pure: argv in, values out.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Flag:
    """One flag. `kind` is bool, string, int, list (repeatable) or count-less; `placeholder` is shown in the help."""

    __slots__ = ("default", "help", "kind", "name", "placeholder", "short")

    def __init__(
        self,
        name: str,
        short: str = "",
        kind: str = "string",
        text: str = "",
        *,
        default: Any = None,
        placeholder: str = "",
    ) -> None:
        self.name, self.short, self.kind, self.help = name, short, kind, text
        self.default = default if default is not None else {"bool": False, "list": None, "int": 0}.get(kind, "")
        self.placeholder = placeholder or {"bool": "", "int": "int"}.get(kind, kind)

    def convert(self, text: str) -> Any:
        """Turns the flag's text into its value; InvalidArgument in pflag's words."""
        if self.kind == "bool":
            if text in _TRUE:
                return True
            if text in _FALSE:
                return False
            raise self._invalid(text, f'strconv.ParseBool: parsing "{text}": invalid syntax')
        if self.kind == "int":
            try:
                return int(text, 10)
            except ValueError:
                raise self._invalid(text, f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        return text

    def _invalid(self, text: str, why: str) -> errors.InvalidArgument:
        shown = f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"
        return errors.InvalidArgument(f'invalid argument "{text}" for "{shown}" flag: {why}')


class Values:
    """Parsed flags: `values["name"]`, and `was_set("name")` tells a given flag from a default."""

    __slots__ = ("_given", "_values")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._values: dict[str, Any] = {f.name: ([] if f.kind == "list" else f.default) for f in flags}
        self._given: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def was_set(self, name: str) -> bool:
        """True when the flag stood on the command line."""
        return name in self._given

    def put(self, flag: Flag, text: str) -> None:
        """Records one occurrence."""
        value = flag.convert(text)
        if flag.kind == "list":
            self._values[flag.name].append(value)
        else:
            self._values[flag.name] = value
        self._given.add(flag.name)


def parse(flags: Sequence[Flag], argv: Sequence[str], *, interspersed: bool = True) -> tuple[Values, list[str]]:
    """Splits argv into flag values and arguments; raises InvalidArgument with pflag's text."""
    values = Values(flags)
    long_names = {flag.name: flag for flag in flags}
    short_names = {flag.short: flag for flag in flags if flag.short}
    rest = list(argv)
    arguments: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            return values, arguments + rest
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if not interspersed:
                return values, arguments + rest
        elif word.startswith("--"):
            _parse_long(word[2:], rest, long_names, values)
        else:
            _parse_cluster(word[1:], rest, short_names, values)
    return values, arguments


def _parse_long(word: str, rest: list[str], names: dict[str, Flag], values: Values) -> None:
    name, mark, text = word.partition("=")
    if not name or name.startswith("-"):
        raise errors.InvalidArgument(f"bad flag syntax: --{word}")
    flag = names.get(name)
    if flag is None:
        raise errors.InvalidArgument(f"unknown flag: --{name}")
    if not mark:
        if flag.kind == "bool":
            text = "true"
        elif rest:
            text = rest.pop(0)
        else:
            raise errors.InvalidArgument(f"flag needs an argument: --{name}")
    values.put(flag, text)


def _parse_cluster(cluster: str, rest: list[str], names: dict[str, Flag], values: Values) -> None:
    letters = cluster
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = names.get(letter)
        if flag is None:
            raise errors.InvalidArgument(f"unknown shorthand flag: '{letter}' in -{cluster}")
        if letters.startswith("="):
            values.put(flag, letters[1:])
            return
        if flag.kind == "bool":
            values.put(flag, "true")
        elif letters:
            values.put(flag, letters)
            return
        elif rest:
            values.put(flag, rest.pop(0))
            return
        else:
            raise errors.InvalidArgument(f"flag needs an argument: '{letter}' in -{cluster}")


class Command:
    """A command's face: its words, its usage line, its flags, how many arguments it takes, and what runs it."""

    __slots__ = ("flags", "interspersed", "maximum", "minimum", "name", "run", "summary", "usage")

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        run: Callable[[Any, Values, list[str]], int],
        flags: Sequence[Flag] = (),
        *,
        minimum: int = 0,
        maximum: int | None = None,
        interspersed: bool = True,
    ) -> None:
        self.name, self.usage, self.summary, self.run, self.flags = name, usage, summary, run, flags
        self.minimum, self.maximum, self.interspersed = minimum, maximum, interspersed

    def check_count(self, arguments: Sequence[str]) -> None:
        """Raises InvalidArgument when there are too few or too many arguments."""
        count = len(arguments)
        if count < self.minimum or (self.maximum is not None and count > self.maximum):
            raise errors.InvalidArgument(f"'hold {self.name}' {self._count_text()}")

    def _count_text(self) -> str:
        if self.maximum == 0:
            return "accepts no arguments"
        exact = self.minimum == self.maximum
        number = self.minimum if exact or self.minimum else self.maximum
        bound = "" if exact else ("at least " if self.maximum is None else "at most ")
        if not exact and self.minimum and self.maximum is not None:
            return f"requires at least {self.minimum} and at most {self.maximum} arguments"
        return f"requires {bound}{number} argument{'' if number == 1 else 's'}"

    def help(self) -> str:
        """The text of `--help`."""
        lines = [f"Usage:  hold {self.usage}", "", self.summary]
        if self.flags:
            lines += ["", "Options:", *_flag_lines(self.flags)]
        return "\n".join(lines)


def _flag_lines(flags: Sequence[Flag]) -> list[str]:
    heads = [
        f"  {'-' + f.short + ',' if f.short else '   '} --{f.name}{' ' + f.placeholder if f.placeholder else ''}"
        for f in flags
    ]
    width = max(len(head) for head in heads) + 3
    lines: list[str] = []
    for head, flag in zip(heads, flags, strict=True):
        default = flag.default if flag.kind != "list" else None
        shown = f' (default "{default}")' if isinstance(default, str) and default else ""
        shown = f" (default {default})" if isinstance(default, int) and default and flag.kind == "int" else shown
        lines.append(f"{head:<{width}}{flag.help}{shown}")
    return lines
