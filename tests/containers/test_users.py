# SPDX-License-Identifier: Apache-2.0
"""`user[:group]` against /etc/passwd and /etc/group: one table, and a parser that nothing surprises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.containers import users
from holdfast.errors import InvalidArgument

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
# a comment: x:9:9
daemon:x:1:1::/usr/sbin:/bin/false
broken:x:not-a-number:5::/:/bin/sh
app:x:1000:50:App:/home/app:/bin/sh
short:x:7
"""
GROUP = b"""root:x:0:root
wheel:x:10:root,app
staff:x:50:
video:x:44:app
evil:x:99999999999:root
"""


@pytest.mark.parametrize(
    ("user", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, (0, 10), "/root"),
        ("0", 0, 0, (0, 10), "/root"),
        ("1", 1, 1, (1,), "/usr/sbin"),
        ("1:", 1, 1, (1,), "/usr/sbin"),
        (":1", 0, 1, (1,), "/root"),
        ("1:2", 1, 2, (2,), "/usr/sbin"),
        ("app", 1000, 50, (50, 10, 44), "/home/app"),
        ("app:video", 1000, 44, (44,), "/home/app"),
        ("app:3", 1000, 3, (3,), "/home/app"),
        ("2000", 2000, 0, (0,), ""),
        ("2000:2001", 2000, 2001, (2001,), ""),
        ("2147483647", 2147483647, 0, (0,), ""),
    ],
)
def test_a_user_text_has_one_meaning(user: str, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
    assert users.resolve(user, (), PASSWD, GROUP) == users.Identity(uid=uid, gid=gid, groups=groups, home=home)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("1:-1", "uids and gids must be in range 0-2147483647"),
        (" 1", "unable to find user  1: no matching entries in passwd file"),
        ("+1", "unable to find user +1: no matching entries in passwd file"),
        ("broken", "unable to find user broken: no matching entries in passwd file"),
        ("short", "unable to find user short: no matching entries in passwd file"),
        ("app:nobody", "unable to find group nobody: no matching entries in group file"),
        ("app:evil", "unable to find group evil: no matching entries in group file"),
    ],
)
def test_a_wrong_user_text_is_refused_in_dockers_words(user: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        users.resolve(user, (), PASSWD, GROUP)

    assert caught.value.message == text


def test_groups_are_added_by_name_and_number_once() -> None:
    found = users.resolve("app", ("video", "7", "44"), PASSWD, GROUP)

    assert found.groups == (50, 10, 44, 7)


def test_without_files_numbers_still_work() -> None:
    assert users.resolve("", (), b"", b"") == users.Identity(uid=0, gid=0, groups=(0,), home="")
    assert users.resolve("5:6", (), b"", b"").groups == (6,)


@given(user=st.text(max_size=12), passwd=st.binary(max_size=200), group=st.binary(max_size=200))
def test_nothing_leads_to_an_id_out_of_range(user: str, passwd: bytes, group: bytes) -> None:
    try:
        found = users.resolve(user, (), passwd, group)
    except InvalidArgument:
        return

    assert 0 <= found.uid <= users.MAX_ID
    assert all(0 <= each <= users.MAX_ID for each in (found.gid, *found.groups))


@given(name=st.text("abc.-+ ٣", min_size=1, max_size=5))
def test_a_name_that_is_no_number_is_never_taken_for_one(name: str) -> None:
    with pytest.raises(InvalidArgument):
        users.resolve(name, (), PASSWD, GROUP)
