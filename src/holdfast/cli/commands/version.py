# SPDX-License-Identifier: Apache-2.0
"""`hold version`: client and daemon, side by side."""

from __future__ import annotations

import os
import platform

from holdfast import errors
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

CLIENT_VERSION = "0.1.0"
_FLAGS = (Flag("format", "f", "string", "Format output using a custom template: 'json' or TEMPLATE"),)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the client even when no daemon answers (exit code 1 then)."""
    try:
        server: dict[str, Any] | None = session.api.call("GET", "/version")
        failure = ""
    except errors.HoldfastError as error:
        server, failure = None, error.message
    version = ".".join(str(part) for part in session.api.version) if server else "1.51"
    client = {
        "Version": CLIENT_VERSION,
        "ApiVersion": version,
        "PythonVersion": platform.python_version(),
        "Os": "linux",
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
    }
    if values["format"]:
        print(_formatted({"Client": client, "Server": server}, values["format"]))
    else:
        print(_block("Client: Holdfast", client))
        if server is not None:
            named: dict[str, str] = server.get("Platform") or {}
            print(_block("\nServer: " + (named.get("Name") or "Engine"), server))
    if failure:
        session.say(f"hold: {failure}")
        return 1
    return 0


def _formatted(document: dict[str, Any], form: str) -> str:
    import json

    if form == "json":
        return json.dumps(document, separators=(",", ":"))
    from holdfast.cli.template import Template

    return Template(form).render(document)


_LABELS = {
    "Version": "Version:",
    "ApiVersion": "API version:",
    "MinAPIVersion": "Minimum API version:",
    "PythonVersion": "Python version:",
    "GitCommit": "Git commit:",
    "KernelVersion": "Kernel version:",
    "BuildTime": "Built:",
}


def _block(title: str, fields: dict[str, Any]) -> str:
    lines = [title]
    lines += [f" {label:<22}{fields[key]}" for key, label in _LABELS.items() if fields.get(key)]
    lines.append(f" {'OS/Arch:':<22}{fields.get('Os')}/{fields.get('Arch')}")
    return "\n".join(lines)


COMMAND = Command("version", "version [OPTIONS]", "Show the Holdfast version information", run, _FLAGS, maximum=0)
