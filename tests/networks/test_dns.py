# SPDX-License-Identifier: Apache-2.0
"""What the embedded DNS server answers: names, views and forwarding decisions, without a socket."""

import socket

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.networks.companions import control
from holdfast.networks.dns import upstreams
from holdfast.networks.dns.answers import Answers, parse_reverse
from holdfast.networks.dns.table import Table
from holdfast.wire import dns


def place(network, *names, ipv4=(), ipv6=(), links=()):
    return {
        "network_id": network + "-id",
        "network_name": network,
        "names": list(names),
        "ipv4": list(ipv4),
        "ipv6": list(ipv6),
        "links": [list(each) for each in links],
    }


def sandbox(sandbox_id, *places):
    return {"sandbox_id": sandbox_id, "places": list(places)}


@pytest.fixture
def table():
    made = Table()
    made.put(sandbox("w", place("front", "web", "www", "0123456789ab", ipv4=("10.1.0.2",), ipv6=("fd01::2",))))
    made.put(
        sandbox(
            "d",
            place("front", "db", "alias", ipv4=("10.1.0.3",), links=(("site", "web"), ("by-id", "0123456789abcdef"))),
            place("back", "db", ipv4=("10.2.0.3",)),
        )
    )
    made.put(sandbox("o", place("back", "only-back", "alias", ipv4=("10.2.0.9",))))
    return made


def find(table, sandbox_id, name, *, ipv6=False):
    found = table.find(sandbox_id, name, ipv6=ipv6)
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    return None if found is None else [socket.inet_ntop(family, each) for each in found]


def test_name_alias_short_id_and_full_name_mean_the_container(table):
    for name in ("web", "www", "0123456789ab", "web.front", "www.front"):
        assert find(table, "d", name) == ["10.1.0.2"]
    assert find(table, "w", "web") == ["10.1.0.2"]


def test_network_may_have_dots_in_its_name(table):
    table.put(sandbox("p", place("br.Net.one", "c1.x", ipv4=("10.3.0.2",))))

    for name in ("c1.x", "c1.x.br.net.one"):
        assert find(table, "p", name) == ["10.3.0.2"]
    assert find(table, "p", "c1.x.one") is None
    assert find(table, "p", "c1.x.br.net.one.example") is None


def test_best_network_answers_first(table):
    assert find(table, "d", "db") == ["10.1.0.3"]
    assert find(table, "d", "db.back") == ["10.2.0.3"]


def test_names_of_a_foreign_network_are_nobodys(table):
    assert find(table, "w", "only-back") is None
    assert find(table, "w", "only-back.back") is None
    assert find(table, "w", "db") == ["10.1.0.3"]
    assert table.find_name("w", socket.inet_aton("10.2.0.9")) == ""


def test_link_is_known_to_its_owner_only(table):
    assert find(table, "d", "site") == ["10.1.0.2"]
    assert find(table, "d", "by-id") == ["10.1.0.2"]
    assert find(table, "w", "site") is None


def test_name_without_an_address_of_the_family_is_known_and_empty(table):
    assert find(table, "d", "web", ipv6=True) == ["fd01::2"]
    assert find(table, "d", "db", ipv6=True) == []
    assert find(table, "d", "nosuch", ipv6=True) is None


def test_alias_of_several_is_all_of_them_and_shrinks_with_them(table):
    table.put(sandbox("d2", place("front", "db2", "alias", ipv4=("10.1.0.4",))))
    assert find(table, "w", "alias") == ["10.1.0.3", "10.1.0.4"]

    table.remove("d")
    assert find(table, "w", "alias") == ["10.1.0.4"]
    table.remove("d2")
    table.remove("d2")
    assert find(table, "w", "alias") is None


def test_new_name_replaces_the_old_one(table):
    table.put(sandbox("w", place("front", "renamed", ipv4=("10.1.0.2",))))

    assert find(table, "d", "web") is None
    assert find(table, "d", "renamed") == ["10.1.0.2"]


def test_address_has_its_containers_name_and_network(table):
    assert table.find_name("d", socket.inet_aton("10.1.0.2")) == "web.front"
    assert table.find_name("d", socket.inet_pton(socket.AF_INET6, "fd01::2")) == "web.front"


NAMES = st.sampled_from(["a", "b", "c"])
CHANGES = st.lists(
    st.tuples(st.sampled_from("1234"), st.none() | st.lists(st.tuples(st.sampled_from("xy"), NAMES), max_size=2)),
    max_size=20,
)


@given(CHANGES)
def test_table_after_any_changes_is_the_one_made_at_once(changes):
    changed, wanted = Table(), {}
    for sandbox_id, places in changes:
        wanted.pop(sandbox_id, None)
        if places is None:
            changed.remove(sandbox_id)
        else:
            by_network = dict(places)
            wanted[sandbox_id] = sandbox(
                sandbox_id,
                *[place(network, name, ipv4=(f"10.0.0.{sandbox_id}",)) for network, name in by_network.items()],
            )
            changed.put(wanted[sandbox_id])
    fresh = Table()
    for each in wanted.values():
        fresh.put(each)

    for sandbox_id in "1234":
        for name in "abc":
            assert changed.find(sandbox_id, name, ipv6=False) == fresh.find(sandbox_id, name, ipv6=False)


def ask(answers, name, kind="A", *, limit=0, edns=0):
    query = dnslib.DNSRecord.question(name, kind)
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=edns))
    answer = answers.answer(bytes(query.pack()), limit=limit)
    return dnslib.DNSRecord.parse(answer) if isinstance(answer, bytes) else answer


def addresses(record):
    return [str(each.rdata) for each in record.rr]


@pytest.fixture
def answers(table):
    return Answers(table, "w")


def test_case_of_the_question_is_kept_and_means_nothing(answers):
    record = ask(answers, "WEB")

    assert (addresses(record), str(record.q.qname)) == (["10.1.0.2"], "WEB.")


def test_service_is_handed_out_in_turns(table, answers):
    for number in (4, 5):
        table.put(sandbox(f"s{number}", place("front", f"s{number}", "alias", ipv4=(f"10.1.0.{number}",))))

    first = [addresses(ask(answers, "alias"))[0] for _ in range(6)]

    assert sorted(first[:3]) == ["10.1.0.3", "10.1.0.4", "10.1.0.5"]
    assert first[:3] == first[3:]


def test_answer_changes_with_the_table(table, answers):
    assert addresses(ask(answers, "db")) == ["10.1.0.3"]
    assert addresses(ask(answers, "db")) == ["10.1.0.3"]

    table.put(sandbox("d", place("front", "db", ipv4=("10.1.0.77",))))

    assert addresses(ask(answers, "db")) == ["10.1.0.77"]


def test_known_name_is_never_asked_of_the_world(answers):
    for kind in ("AAAA", "MX"):
        record = ask(answers, "db", kind)
        assert (record.header.rcode, record.rr) == (0, [])


@pytest.mark.parametrize("kind", ["A", "AAAA", "TXT", "SRV", "ANY", "PTR"])
def test_everything_else_is_to_be_forwarded(answers, kind):
    assert isinstance(ask(answers, "www.example.org", kind), dns.Question)


def test_text_record_of_a_container_is_forwarded_as_dockerd_does(answers):
    assert isinstance(ask(answers, "web", "TXT"), dns.Question)


def test_internal_network_asks_nobody(answers):
    answers.can_forward = False

    assert ask(answers, "www.example.org").header.rcode == dns.SERVER_FAILURE
    assert addresses(ask(answers, "web")) == ["10.1.0.2"]


def test_single_label_stays_at_home_when_a_search_list_is_meant(answers):
    answers.keeps_single_labels = True

    assert (ask(answers, "nosuch").header.rcode, ask(answers, "nosuch").rr) == (0, [])
    assert isinstance(ask(answers, "nosuch.example.org"), dns.Question)


def test_reverse_question_is_answered_with_the_full_name(answers):
    assert addresses(ask(answers, "3.0.1.10.in-addr.arpa", "PTR")) == ["db.front."]
    assert isinstance(ask(answers, "9.0.2.10.in-addr.arpa", "PTR"), dns.Question)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("4.3.2.1.in-addr.arpa", "1.2.3.4"),
        ("0.0.f.ip6.arpa", ""),
        ("256.3.2.1.in-addr.arpa", ""),
        ("3.2.1.in-addr.arpa", ""),
        ("x.3.2.1.in-addr.arpa", ""),
        ("in-addr.arpa", ""),
        ("1.2.3.4", ""),
    ],
)
def test_reverse_names(name, address):
    assert parse_reverse(name) == (socket.inet_aton(address) if address else b"")


@given(st.ip_addresses())
def test_reverse_name_of_any_address(address):
    assert parse_reverse(address.reverse_pointer) == address.packed


@given(st.lists(st.sampled_from(["web", "alias", "nosuch", "db"]), max_size=30), st.binary(max_size=64))
def test_no_message_leads_to_more_than_an_answer(names, junk):
    answers = Answers(Table(), "x")

    for name in names:
        ask(answers, name)
    assert answers.answer(junk) is None or isinstance(answers.answer(junk), bytes | dns.Question)


def test_kept_answers_are_bounded(answers):
    for number in range(3000):
        ask(answers, "web", edns=1000 + number)

    assert len(answers._kept) <= 512


def test_nameserver_lines_are_the_first_three():
    text = "# x\nnameserver 10.0.0.1\nsearch a\nnameserver fe80::1%eth0\nnameserver\nnameserver 127.0.0.53\nnameserver 1.1.1.1\n"

    assert upstreams.parse_nameservers(text) == [("10.0.0.1", True), ("fe80::1%eth0", True), ("127.0.0.53", True)]


def test_host_file_that_changes_or_goes_is_followed(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 10.0.0.1\n")
    host = upstreams.HostUpstreams(str(path))
    assert host.routes() == [("10.0.0.1", True)]

    path.write_text("nameserver 10.0.0.22\n")
    host._looked_at -= 2
    assert host.routes() == [("10.0.0.22", True)]

    path.unlink()
    host._looked_at -= 2
    assert host.routes() == []


def test_message_that_is_too_long_is_refused_in_words():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        control.send(ours, {"do": "publish", "names": ["x" * 63] * 2000})
        assert control.receive(theirs)[0]["names"][1999] == "x" * 63
        with pytest.raises(errors.InvalidArgument, match="too long"):
            control.send(ours, {"do": "publish", "names": ["x" * 63] * 4000})


@pytest.mark.parametrize("data", [b"{", b"[]", b"null", b"\xff"])
def test_message_that_is_none_ends_the_conversation(data):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(data)
        assert control.receive(theirs)[0] is None
