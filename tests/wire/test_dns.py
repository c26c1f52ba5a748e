# SPDX-License-Identifier: Apache-2.0
"""DNS messages: dnslib, which others keep, reads what we write and writes what we read."""

import time

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire import dns

LABEL = st.text("abcXYZ019-_", min_size=1, max_size=12)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
ADDRESS = st.binary(min_size=4, max_size=4)


def ask(name, kind="A", *, edns=0):
    query = dnslib.DNSRecord.question(name, kind)
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=edns))
    return bytes(query.pack())


@given(NAME, st.sampled_from(["A", "AAAA", "PTR", "MX", "TXT"]), st.sampled_from([0, 512, 1232, 65535]))
def test_question_is_read_as_others_write_it(name, kind, edns):
    question = dns.parse_question(ask(name, kind, edns=edns))

    assert question.name == name.lower()
    assert question.kind == dnslib.QTYPE.reverse[kind]
    assert question.has_edns is bool(edns)
    assert question.limit == min(max(edns, 512), 4096)


@given(NAME, st.lists(ADDRESS, max_size=60), st.sampled_from([0, 1232, 4096]))
def test_answer_is_what_others_read_and_no_longer_than_they_take(name, addresses, edns):
    query = ask(name, edns=edns)

    answer = dns.answer_addresses(query, dns.parse_question(query), addresses, ttl_seconds=600)

    read = dnslib.DNSRecord.parse(answer)
    assert len(answer) <= max(edns, 512)
    assert (read.header.id, read.header.qr, read.header.ra, read.header.rd, read.header.rcode) == (
        dnslib.DNSRecord.parse(query).header.id,
        1,
        1,
        1,
        0,
    )
    found = [bytes(record.rdata.data) for record in read.rr]
    assert found == addresses[: len(found)]
    assert bool(read.header.tc) is (len(found) < len(addresses))
    assert [record.rtype for record in read.ar] == ([dnslib.QTYPE.OPT] if edns else [])
    assert str(read.q.qname) == name + "."


def test_answer_by_tcp_holds_them_all():
    query = ask("service")
    addresses = [bytes([10, 0, number // 256, number % 256]) for number in range(1000)]

    answer = dns.answer_addresses(query, dns.parse_question(query), addresses, ttl_seconds=1, limit=65535)

    read = dnslib.DNSRecord.parse(answer)
    assert (len(read.rr), read.header.tc) == (1000, 0)


@given(NAME)
def test_name_of_an_address_is_a_ptr_record(name):
    query = ask("4.3.2.1.in-addr.arpa", "PTR")

    read = dnslib.DNSRecord.parse(dns.answer_name(query, dns.parse_question(query), name, ttl_seconds=600))

    assert (str(read.rr[0].rdata), read.rr[0].ttl) == (name + ".", 600)


@pytest.mark.parametrize("code", [dns.SERVER_FAILURE, dns.NAME_ERROR, dns.NO_ERROR])
def test_refusal_repeats_the_question(code):
    query = ask("nosuch")

    read = dnslib.DNSRecord.parse(dns.refuse(query, code, dns.parse_question(query)))

    assert (read.header.rcode, str(read.q.qname), read.rr) == (code, "nosuch.", [])


HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (b"\x12\x34\x81\x00" + HEADER[4:] + b"\1a\0\0\1\0\1", None),
        (b"\x12\x34\x28\x00" + HEADER[4:] + b"\1a\0\0\1\0\1", dns.NOT_IMPLEMENTED),
        (HEADER, dns.FORMAT_ERROR),
        (HEADER + b"\1a\0\0\1", dns.FORMAT_ERROR),
        (HEADER[:4] + b"\0\0" + HEADER[6:], dns.FORMAT_ERROR),
        (HEADER[:4] + b"\0\2" + HEADER[6:] + b"\1a\0\0\1\0\1" * 2, dns.FORMAT_ERROR),
        (HEADER + b"\xc0\x0c\0\1\0\1", dns.FORMAT_ERROR),
        (HEADER + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", dns.FORMAT_ERROR),
        (HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", dns.FORMAT_ERROR),
        (HEADER + b"\1a", dns.FORMAT_ERROR),
    ],
    ids=[
        "nothing",
        "short",
        "response",
        "opcode",
        "no-name",
        "no-class",
        "no-question",
        "two-questions",
        "compression-loop",
        "long-label",
        "long-name",
        "cut-name",
    ],
)
def test_bad_message_is_refused_or_left_unanswered(message, code):
    with pytest.raises(dns.Refused) as refused:
        dns.parse_question(message)

    assert refused.value.code == code
    if code is not None:
        assert dnslib.DNSHeader.parse(dnslib.DNSBuffer(dns.refuse(message, code))).rcode == code


def test_name_with_a_dot_inside_a_label_is_nobodys():
    assert dns.parse_question(HEADER + b"\3a.b\0\0\1\0\1").name == ""


@given(st.binary(max_size=600) | st.binary(max_size=300).map(lambda tail: HEADER + tail))
def test_junk_never_does_more_than_be_refused(message):
    try:
        question = dns.parse_question(message)
    except dns.Refused as refusal:
        code = refusal.code
        answer = b"" if code is None else dns.refuse(message, code)
    else:
        code = dns.NO_ERROR
        assert dns.HEADER_BYTES < question.end <= len(message)
        answer = dns.answer_addresses(message, question, [b"\1\2\3\4"], ttl_seconds=1)
    assert code in (None, dns.NO_ERROR, dns.FORMAT_ERROR, dns.NOT_IMPLEMENTED)
    assert len(answer) <= dns.MAXIMUM_LIMIT


@given(NAME, st.integers(0, 65535), st.binary(max_size=40))
def test_answer_counts_only_with_number_and_question(name, number, junk):
    query = ask(name)
    question = query[dns.HEADER_BYTES :]
    answer = number.to_bytes(2, "big") + b"\x81\x80\0\1" + b"\0" * 6 + question.upper()

    assert dns.is_answer_to(answer, number, question)
    assert not dns.is_answer_to(answer, number ^ 1, question)
    assert not dns.is_answer_to(answer[:-1], number, question)
    assert not dns.is_answer_to(number.to_bytes(2, "big") + query[2:], number, question)
    assert not dns.is_answer_to(junk, number, question + b"x")


def test_ten_thousand_fresh_questions_are_answered_within_a_second_of_processor():
    query = ask("web.backend")
    began = time.process_time()

    for _ in range(10_000):
        dns.answer_addresses(query, dns.parse_question(query), [b"\1\2\3\4"], ttl_seconds=600)

    assert time.process_time() - began < 1.0
