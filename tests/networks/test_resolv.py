# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from holdfast.networks import resolv
from holdfast.networks.resolv import Resolv

TEXT = """# comment
; another
nameserver 10.0.0.1
nameserver 127.0.0.1
nameserver ::1
nameserver fe80::1%eth0
domain old.example
search a.example b.example
options ndots:2
options rotate timeout:1
nameserver
"""


def test_parse_reads_what_the_library_reads():
    assert resolv.parse(TEXT) == Resolv(
        ("10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0"), ("a.example", "b.example"), ("ndots:2", "rotate", "timeout:1")
    )
    assert resolv.parse("domain one.example\n").search == ("one.example",)


def test_loopback_and_ipv6_resolvers_are_left_out():
    assert resolv.without_loopback(resolv.parse(TEXT)).nameservers == ("10.0.0.1",)
    assert resolv.without_loopback(resolv.parse(TEXT), keep_ipv6=True).nameservers == ("10.0.0.1", "fe80::1%eth0")


def test_public_resolvers_stand_in_when_none_is_left():
    assert resolv.without_loopback(Resolv(("127.0.0.53", "nonsense"))).nameservers == ("8.8.8.8", "8.8.4.4")


def test_stub_of_systemd_resolved_is_recognised():
    assert resolv.needs_resolved_file(resolv.parse("nameserver 127.0.0.53\noptions edns0\n"))
    assert not resolv.needs_resolved_file(resolv.parse("nameserver 127.0.0.53\nnameserver 10.0.0.1\n"))


def test_overrides_replace_and_a_dot_means_no_search():
    host = Resolv(("10.0.0.1",), ("host.example",), ("ndots:1",))

    assert resolv.override(host) == host
    assert resolv.override(host, dns=("9.9.9.9",), dns_search=("x",), dns_options=("ndots:5",)) == Resolv(
        ("9.9.9.9",), ("x",), ("ndots:5",)
    )
    assert resolv.override(host, dns_search=(".",)).search == ()


WORD = st.text("abcdefghij.:-0123456789", min_size=1, max_size=12)


@given(st.lists(WORD, max_size=4), st.lists(WORD, max_size=4), st.lists(WORD, max_size=4))
def test_rendered_file_reads_back(servers, search, options):
    value = Resolv(tuple(servers), tuple(search), tuple(options))
    assert resolv.parse(resolv.render(value)) == value


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    resolv.parse(text)


def test_container_that_asks_us_is_told_so_and_what_we_ask():
    text = resolv.render_internal(resolv.Resolv(("9.9.9.9",), ("lan",), ("rotate",)), is_of_host=True)

    assert [line for line in text.splitlines() if line and line[0] != "#"] == [
        "nameserver 127.0.0.11",
        "search lan",
        "options rotate ndots:0",
    ]
    assert "# ExtServers: [host(9.9.9.9)]" in text
    own = resolv.render_internal(resolv.Resolv(("9.9.9.9",), (), ("ndots:2",)), is_of_host=False)
    assert "options ndots:2\n" in own
    assert "# ExtServers: [9.9.9.9]" in own


def test_ndots_above_zero_keeps_single_labels():
    assert resolv.needs_dots(("timeout:1", "ndots:2"))
    assert not resolv.needs_dots(("ndots:0", "ndots:x", "rotate"))
