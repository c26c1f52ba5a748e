# SPDX-License-Identifier: Apache-2.0
"""Renders a log tag: `{{.ImageName}}/{{.Name}}`, `{{upper .ID | printf "%s"}}` (pure; the daemon's side).

Of Go's templates it knows what a tag is made of: fields, keys of maps, words, and pipelines of Docker's functions; an
`if` or a `range` is refused. Source: Go text/template; moby `daemon/logger/templates`; texts seen on dockerd 28.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from holdfast.errors import InvalidArgument

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\||-?\d+|\.?[A-Za-z_][\w.]*|\.)')
_NAMED = "template: log-tag:1"


def render(template: str, fields: Mapping[str, object]) -> str:
    """Returns the tag; InvalidArgument in Go's words."""
    if "{{" not in template:
        return template
    if "{{" in _ACTION.sub("", template):
        raise InvalidArgument(f"{_NAMED}: unclosed action")
    pieces: list[str] = []
    end = 0
    for action in _ACTION.finditer(template):
        text = template[end : action.start()]
        pieces.append(text.rstrip() if action.group(1) else text)
        pieces.append(_show(_pipeline(action.group(2), fields)))
        end = action.end()
        if action.group(3):
            end += len(template[end:]) - len(template[end:].lstrip())
    return "".join([*pieces, template[end:]])


def _pipeline(text: str, fields: Mapping[str, object]) -> object:
    words: list[list[str]] = [[]]
    position = 0
    while text[position:].strip():
        token = _TOKEN.match(text, position)
        if token is None:
            raise InvalidArgument(f"{_NAMED}: unexpected {json.dumps(text[position:].strip()[0])} in command")
        position = token.end()
        if token.group(1) == "|":
            words.append([])
        else:
            words[-1].append(token.group(1))
    if not all(words):
        raise InvalidArgument(f"{_NAMED}: missing value for command")
    result = _command(words[0], fields, ())
    for command in words[1:]:
        result = _command(command, fields, (result,))
    return result


def _command(words: list[str], fields: Mapping[str, object], piped: tuple[object, ...]) -> object:
    first, *rest = words
    if first[0] in '."`-' or first[0].isdigit():
        if rest or piped:
            raise InvalidArgument(f"{_NAMED}: can't give argument to non-function {first}")
        return _value(first, fields)
    function = _FUNCTIONS.get(first)
    if function is None:
        raise InvalidArgument(f'{_NAMED}: function "{first}" not defined')
    arguments = [*(_value(word, fields) for word in rest), *piped]
    try:
        return function(*arguments)
    except (TypeError, AttributeError, ValueError, KeyError, IndexError):
        raise InvalidArgument(
            f'template: log-tag:1: executing "log-tag" at <{first}>: error calling {first}: wrong arguments'
        ) from None


def _value(word: str, fields: Mapping[str, object]) -> object:
    if word[0] == '"':
        return json.loads(word)
    if word[0] == "`":
        return word[1:-1]
    if word[0] != ".":
        if word.lstrip("-").isdigit():
            return int(word)
        raise InvalidArgument(f'{_NAMED}: function "{word}" not defined')
    value: object = dict(fields)
    for step, name in enumerate(word[1:].split(".")):
        if not isinstance(value, Mapping):
            raise InvalidArgument(
                f'{_NAMED}:2: executing "log-tag" at <{word}>: can\'t evaluate field {name} in type string'
            )
        inside = cast("Mapping[str, object]", value)
        if step == 0 and name not in inside:
            raise InvalidArgument(
                f'{_NAMED}:2: executing "log-tag" at <{word}>: can\'t evaluate field {name} in type *logger.Info'
            )
        value = inside.get(name, "<no value>")
    return value


def _show(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(_show(each) for each in cast('list[object]', value))}]"
    if isinstance(value, Mapping):
        pairs = sorted(cast("Mapping[str, object]", value).items())
        return f"map[{' '.join(f'{key}:{_show(each)}' for key, each in pairs)}]"
    return str(value)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _index(container: Mapping[object, object] | list[object], key: object) -> object:
    if isinstance(container, Mapping):
        return container.get(key, "")
    return container[cast("int", key)]


def _title(text: str) -> str:
    return re.sub(r"\b\w", lambda letter: letter.group().upper(), text)


def _truncate(text: str, length: int) -> str:
    return text[:length]


def _print(*values: object) -> str:
    return "".join(_show(value) for value in values)


def _printf(form: str, *values: object) -> str:
    return form.replace("%v", "%s") % tuple(_show(value) for value in values)


def _join(texts: Sequence[str], separator: str) -> str:
    return separator.join(texts)


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "json": _dump,
    "split": str.split,
    "join": _join,
    "title": _title,
    "lower": str.lower,
    "upper": str.upper,
    "pad": _pad,
    "truncate": _truncate,
    "index": _index,
    "len": len,
    "print": _print,
    "printf": _printf,
}
