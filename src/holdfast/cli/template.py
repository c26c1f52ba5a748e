# SPDX-License-Identifier: Apache-2.0
"""The part of Go's text/template that `--format` uses: fields, pipelines, range, if, with, variables, Docker's functions.

Pure. A field that does not exist fails with Go's wording, so a typing error is never an empty column.
Source: pkg.go.dev/text/template, docs.docker.com "Format command and log output". Not here: define, template, block.
"""

from __future__ import annotations

import json
import re

from holdfast import errors
from holdfast.cli.template_functions import FUNCTIONS, fail, is_map, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ACTION = re.compile(r"\{\{(-\s)?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<variable>\$\w*(?:\.\w+)*)"""
    r"""|(?P<field>(?:\.\w+)+|\.)|(?P<word>\w+)|(?P<mark>:=|=|\||\(|\)|,))"""
)


class _Scope:
    """What `.` and the variables mean at one point; `strict` names the type to blame for a missing field."""

    __slots__ = ("dot", "strict", "variables")

    def __init__(self, dot: Any, variables: dict[str, Any], strict: str) -> None:
        self.dot, self.variables, self.strict = dot, variables, strict

    def with_dot(self, dot: Any) -> _Scope:
        return _Scope(dot, dict(self.variables), "")


class Template:
    """A parsed template; `render(value)` fills it in."""

    def __init__(self, text: str) -> None:
        self._pieces = self._split(text.replace("\\t", "\t").replace("\\n", "\n"))
        self._nodes, rest = _parse_nodes(self._pieces, 0, top=True)
        assert rest == len(self._pieces)

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        pieces: list[tuple[str, str]] = []
        position = 0
        strip_next = False
        for match in _ACTION.finditer(text):
            literal = text[position : match.start()]
            literal = literal.lstrip() if strip_next else literal
            pieces.append(("text", literal.rstrip() if match.group(1) else literal))
            strip_next = bool(match.group(3))
            if not match.group(2).startswith("/*"):
                pieces.append(("action", match.group(2)))
            position = match.end()
        tail = text[position:]
        if "{{" in tail:
            raise fail("unclosed action")
        pieces.append(("text", tail.lstrip() if strip_next else tail))
        return pieces

    def render(self, value: Any, *, kind: str = "") -> str:
        """The text for one value; with `kind` (a Go type's name) an unknown top-level field is an error."""
        return _render(self._nodes, _Scope(value, {"$": value}, kind))


_Node = tuple[str, str, "list[Any]", "list[Any]"]


def _parse_nodes(pieces: list[tuple[str, str]], at: int, *, top: bool = False) -> tuple[list[_Node], int]:
    nodes: list[_Node] = []
    while at < len(pieces):
        kind, text = pieces[at]
        word = text.split(" ", 1)[0] if kind == "action" else ""
        if word in ("end", "else"):
            if top:
                raise fail(f"unexpected {{{{{word}}}}}")
            return nodes, at
        at += 1
        if word not in ("if", "range", "with"):
            nodes.append((kind, text, [], []))
            continue
        body, at = _parse_nodes(pieces, at)
        otherwise: list[_Node] = []
        if at < len(pieces) and pieces[at][1].startswith("else"):
            condition = pieces[at][1][4:].strip()
            if condition:
                pieces[at] = ("action", condition)
                otherwise, at = _parse_nodes_of_else_if(pieces, at)
            else:
                otherwise, at = _parse_nodes(pieces, at + 1)
        if at >= len(pieces):
            raise fail("unexpected EOF")
        nodes.append((word, text[len(word) :].strip(), body, otherwise))
        at += 1
    if not top:
        raise fail("unexpected EOF")
    return nodes, at


def _parse_nodes_of_else_if(pieces: list[tuple[str, str]], at: int) -> tuple[list[_Node], int]:
    """`{{else if x}}` is `{{else}}{{if x}}…{{end}}` whose end is shared with the outer one."""
    word, _, condition = pieces[at][1].partition(" ")
    body, at = _parse_nodes(pieces, at + 1)
    otherwise: list[_Node] = []
    if at < len(pieces) and pieces[at][1].startswith("else"):
        nested = pieces[at][1][4:].strip()
        if nested:
            pieces[at] = ("action", nested)
            otherwise, at = _parse_nodes_of_else_if(pieces, at)
        else:
            otherwise, at = _parse_nodes(pieces, at + 1)
    return [(word, condition, body, otherwise)], at


def _render(nodes: list[_Node], scope: _Scope) -> str:
    parts: list[str] = []
    for kind, text, body, otherwise in nodes:
        if kind == "text":
            parts.append(text)
        elif kind == "action":
            value = _evaluate(text, scope)
            parts.append("" if value is _NOTHING else text_of(value))
        elif kind == "if":
            parts.append(_render(body if _evaluate(text, scope) else otherwise, scope))
        elif kind == "with":
            value = _evaluate(text, scope)
            parts.append(_render(body, scope.with_dot(value)) if value else _render(otherwise, scope))
        else:
            parts.append(_render_range(text, body, otherwise, scope))
    return "".join(parts)


def _render_range(text: str, body: list[_Node], otherwise: list[_Node], scope: _Scope) -> str:
    names: list[str] = []
    head, mark, pipeline = text.partition(":=")
    if mark:
        names = [name.strip() for name in head.split(",")]
        text = pipeline
    value = _evaluate(text, scope)
    items: list[tuple[Any, Any]] = sorted(value.items()) if is_map(value) else list(enumerate(value or ()))
    parts: list[str] = []
    for key, item in items:
        inner = scope.with_dot(item)
        for name, bound in zip(names, (key, item) if len(names) > 1 else (item,), strict=False):
            inner.variables[name] = bound
        parts.append(_render(body, inner))
    return "".join(parts) if items else _render(otherwise, scope)


_NOTHING = object()


def _evaluate(text: str, scope: _Scope) -> Any:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise fail(f"unexpected {text[position:]!r} in operand")
        tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
        position = match.end()
    if len(tokens) > 2 and tokens[0][0] == "variable" and tokens[1][1] in (":=", "="):
        scope.variables[tokens[0][1]] = _pipeline(tokens[2:], scope)
        return _NOTHING
    return _pipeline(tokens, scope)


def _pipeline(tokens: list[tuple[str, str]], scope: _Scope) -> Any:
    commands: list[list[tuple[str, str]]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token[1] == "(") - (token[1] == ")") if token[0] == "mark" else 0
        if token == ("mark", "|") and depth == 0:
            commands.append([])
        else:
            commands[-1].append(token)
    value: Any = _NOTHING
    for command in commands:
        if not command:
            raise fail("missing value for command")
        value = _command(command, scope, value)
    return value


def _command(tokens: list[tuple[str, str]], scope: _Scope, piped: Any) -> Any:
    if tokens[0][0] != "word" or tokens[0][1] in ("true", "false", "nil"):
        values = _operands(tokens, scope)
        if len(values) != 1 or piped is not _NOTHING:
            raise fail(f"can't give argument to non-function {tokens[0][1]}")
        return values[0]
    function = FUNCTIONS.get(tokens[0][1])
    if function is None:
        raise fail(f'function "{tokens[0][1]}" not defined')
    arguments = _operands(tokens[1:], scope)
    if piped is not _NOTHING:
        arguments.append(piped)
    try:
        return function(*arguments)
    except (TypeError, AttributeError, ValueError) as error:
        raise fail(f"error calling {tokens[0][1]}: {error}") from None


def _operands(tokens: list[tuple[str, str]], scope: _Scope) -> list[Any]:
    values: list[Any] = []
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        at += 1
        if (kind, text) == ("mark", "("):
            depth, start = 1, at
            while depth and at < len(tokens):
                depth += {"(": 1, ")": -1}.get(tokens[at][1], 0) if tokens[at][0] == "mark" else 0
                at += 1
            values.append(_pipeline(tokens[start : at - 1], scope))
            if at < len(tokens) and tokens[at][0] == "field":
                values[-1] = _walk(values[-1], tokens[at][1].split(".")[1:], "")
                at += 1
        elif kind == "string":
            values.append(text[1:-1] if text[0] == "`" else json.loads(text))
        elif kind == "number":
            values.append(float(text) if "." in text else int(text))
        elif kind == "field":
            values.append(_walk(scope.dot, [part for part in text.split(".") if part], scope.strict))
        elif kind == "variable":
            name, *fields = text.split(".")
            if name not in scope.variables:
                raise fail(f'undefined variable "{name}"')
            values.append(_walk(scope.variables[name], fields, ""))
        elif text in ("true", "false", "nil"):
            values.append({"true": True, "false": False, "nil": None}[text])
        elif text in FUNCTIONS:
            values.append(FUNCTIONS[text]())
        else:
            raise fail(f'function "{text}" not defined')
    return values


def _walk(value: Any, fields: list[str], strict: str) -> Any:
    for depth, field in enumerate(fields):
        if is_map(value):
            if field not in value and strict and depth == 0:
                raise errors.InvalidArgument(
                    f'template: :1:2: executing "" at <.{field}>: can\'t evaluate field {field} in type {strict}'
                )
            if field not in value:
                raise fail(f'map has no entry for key "{field}"')
            value = value[field]
        elif value is None:
            return None
        else:
            raise fail(f"can't evaluate field {field} in type {type(value).__name__}")
    return value
