# SPDX-License-Identifier: Apache-2.0
"""Who the process is: `user[:group]` and group names resolved with the image's own /etc/passwd and /etc/group.

Pure: the caller reads the two files (`rootfs_view`, or below a running container's root). One strict grammar for run and
exec: only ASCII digits are a number, ids end at 2^31-1, a broken line of a file is as if it were not there.
Source: Docker's rules (moby/sys/user GetExecUser), passwd(5), group(5); security.md, CVE-2022-36109, CVE-2026-30892.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.errors import InvalidArgument

MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Numbers for the kernel; `groups` begins with the primary group. `home` is empty when nobody knows it."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)
    home: str = ""


def resolve(user: str, group_add: Sequence[str], passwd: bytes, group: bytes) -> Identity:
    """The identity for a user text; InvalidArgument in Docker's words for names that the files do not have."""
    user_text, _, group_text = user.partition(":")
    number = _number(user_text)
    uid, gid, home, name = 0, 0, "", ""
    for entry_name, entry_uid, entry_gid, entry_home in _passwd_entries(passwd):
        if (not user_text and entry_uid == 0) or (user_text and (entry_name == user_text or entry_uid == number)):
            uid, gid, home, name = entry_uid, entry_gid, entry_home, entry_name
            break
    else:
        if user_text:
            uid = _require(number, f"unable to find user {user_text}: no matching entries in passwd file")
    groups: list[int] = []
    if group_text:
        gid = _find_group(group_text, group)
    elif name:
        groups = [entry_gid for _, entry_gid, members in _group_entries(group) if name in members]
    extra = [_find_group(text, group) for text in group_add]
    return Identity(uid=uid, gid=gid, groups=tuple(dict.fromkeys([gid, *groups, *extra])), home=home)


def _find_group(text: str, group: bytes) -> int:
    number = _number(text)
    for name, gid, _ in _group_entries(group):
        if name == text or gid == number:
            return gid
    return _require(number, f"unable to find group {text}: no matching entries in group file")


def _number(text: str) -> int | None:
    """A decimal number; a range error for one that no id can be, None for anything else."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    if text.startswith("-") or len(digits.lstrip("0")) > 10 or int(digits) > MAX_ID:
        raise InvalidArgument(f"uids and gids must be in range 0-{MAX_ID}")
    return int(digits)


def _require(number: int | None, otherwise: str) -> int:
    if number is None:
        raise InvalidArgument(otherwise)
    return number


def _passwd_entries(data: bytes) -> Iterator[tuple[str, int, int, str]]:
    for fields in _lines(data):
        if (
            len(fields) >= 4
            and fields[0]
            and (uid := _id(fields[2])) is not None
            and (gid := _id(fields[3])) is not None
        ):
            yield fields[0], uid, gid, fields[5] if len(fields) > 5 else ""


def _group_entries(data: bytes) -> Iterator[tuple[str, int, list[str]]]:
    for fields in _lines(data):
        if len(fields) >= 3 and fields[0] and (gid := _id(fields[2])) is not None:
            yield fields[0], gid, fields[3].split(",") if len(fields) > 3 else []


def _lines(data: bytes) -> Iterator[list[str]]:
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield stripped.split(":")


def _id(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MAX_ID:
        return None
    return int(text)
