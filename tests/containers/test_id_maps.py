# SPDX-License-Identifier: Apache-2.0
"""Id maps of mounts: what they say, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.containers import id_maps
from holdfast.errors import InvalidArgument


def test_users_and_groups_have_ranges_of_their_own():
    assert id_maps.parse("uids=0-1-10#10-21-2;gids=0-100-10") == ([(0, 1, 10), (10, 21, 2)], [(0, 100, 10)])


def test_one_list_is_for_both():
    assert id_maps.parse("1000-0-1") == ([(1000, 0, 1)], [(1000, 0, 1)])


def test_the_map_of_a_mount_is_oci_s():
    assert id_maps.oci("1000-0-1")[0] == [{"containerID": 1000, "hostID": 0, "size": 1}]
    assert id_maps.oci(id_maps.OWN) == ([], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "FIRST-ON-DISK"),
        ("0-1", "FIRST-ON-DISK"),
        ("a-b-c", "FIRST-ON-DISK"),
        ("0-0-0", "holds no ids"),
        ("4294967295-0-1", "holds no ids"),
        ("0-4294967000-1000", "holds no ids"),
        ("uids=0-0-1", "needs both"),
        ("uids=0-0-1;uids=0-0-1", "once each"),
        ("pids=0-0-1;gids=0-0-1", "not one of"),
        ("0-0-10#5-100-10", "overlap"),
        ("0-100-10#50-105-10", "overlap"),
        ("0-0-1;gids=0-0-1", "for users and groups"),
    ],
)
def test_what_is_no_map_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidArgument, match=reason):
        id_maps.parse(text)


@given(st.text(alphabet="uidsg=;#-0123456789x", max_size=40))
def test_any_text_is_a_map_or_an_invalid_argument(text):
    try:
        users, groups = id_maps.parse(text)
    except InvalidArgument:
        return
    assert users
    assert groups
