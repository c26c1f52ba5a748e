# SPDX-License-Identifier: Apache-2.0
"""Where `hold cp` puts what it copies: the directory, and the name it gets there. Pure; the same both ways.

Source: docs.docker.com "docker container cp" (the rules of `cp -a`), behaviour of the docker CLI 28.
"""

from __future__ import annotations

from holdfast import errors


class Source:
    """What is copied: its path as given (a trailing `/.` means the content of the directory) and its kind."""

    __slots__ = ("is_directory", "path")

    def __init__(self, path: str, *, is_directory: bool) -> None:
        self.path, self.is_directory = path, is_directory

    @property
    def is_content(self) -> bool:
        """True for `dir/.`: not the directory, what is in it."""
        return self.path == "." or self.path.endswith("/.")


class Target:
    """Where it goes: the path, with all links followed, and what is there now."""

    __slots__ = ("exists", "is_directory", "path")

    def __init__(self, path: str, *, exists: bool, is_directory: bool) -> None:
        self.path, self.exists, self.is_directory = path, exists, is_directory


def base(path: str) -> str:
    """The last name of a path; `.` for the content of a directory, `/` for the root."""
    stripped = path.rstrip("/")
    return stripped.rpartition("/")[2] if stripped else "/"


def plan(source: Source, target: Target) -> tuple[str, str]:
    """(the directory to unpack in, the new first name of all members, empty to keep it); InvalidArgument."""
    if target.exists and target.is_directory:
        return target.path, ""
    if target.exists and source.is_directory:
        raise errors.InvalidArgument("cannot copy directory")
    asserts_directory = target.path.endswith(("/", "/."))
    if asserts_directory and not source.is_directory:
        raise errors.InvalidArgument("not a directory" if target.exists else "no such directory")
    head, _, name = target.path.rstrip("/").removesuffix("/.").rpartition("/")
    directory = head or ("/" if target.path.startswith("/") else ".")
    return directory, name


def renamed(member: str, old: str, new: str) -> str:
    """A member's name with its first part changed; `old` is the first part that the archive was made with."""
    if not new:
        return member
    if old == "/":
        return f"{new}/{member.lstrip('/')}"
    if member.rstrip("/") == old:
        return new
    return new + member[len(old) :] if member.startswith(f"{old}/") else member


def split(argument: str) -> tuple[str, str]:
    """(container, path); no container for a path of this machine: absolute, beginning with a dot, or without colon."""
    if argument.startswith(("/", ".")):
        return "", argument
    container, colon, path = argument.partition(":")
    return (container, path) if colon and "/" not in container else ("", argument)
