# SPDX-License-Identifier: Apache-2.0
"""One sandbox's answers: from the table, or from what was answered before to the same bytes (sans-IO).

A repeated question costs one look-up: its answer is kept until the table changes. Several addresses are kept in all
their rotations and handed out in turn, so that clients that take the first spread over a service. Called by `listener`.
"""

from __future__ import annotations

from holdfast.wire import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.dns.table import Table

TTL_SECONDS = 600
"""As dockerd's; clients in containers seldom keep answers, and the resolver is asked again after a change."""
_KEPT_ANSWERS = 512
_ROTATIONS = 16
_IPV4_SUFFIX, _IPV6_SUFFIX = ".in-addr.arpa", ".ip6.arpa"


class Answers:
    """What one sandbox is told. `keeps_single_labels`: a name without a dot is never asked of the world."""

    __slots__ = ("_kept", "_sandbox_id", "_table", "_version", "can_forward", "keeps_single_labels")

    def __init__(self, table: Table, sandbox_id: str) -> None:
        self._table = table
        self._sandbox_id = sandbox_id
        self._version = -1
        self._kept: dict[bytes, list[bytes]] = {}
        self.can_forward = True
        self.keeps_single_labels = False

    def answer(self, query: bytes, *, limit: int = 0) -> bytes | dns.Question | None:
        """The answer; or the question, when it is to be forwarded; or None, when the message deserves none.

        `limit`: by TCP, where the question's own does not count.
        """
        if self._version != self._table.version:
            self._kept.clear()
            self._version = self._table.version
        if not limit:
            kept = self._kept.get(query[2:])
            if kept is not None:
                answer = kept.pop(0)
                kept.append(answer)
                return query[:2] + answer
        try:
            question = dns.parse_question(query)
        except dns.Refused as refusal:
            return None if refusal.code is None else dns.refuse(query, refusal.code)
        return self._answer(query, question, limit)

    def _answer(self, query: bytes, question: dns.Question, limit: int) -> bytes | dns.Question:
        if question.network_class == dns.INTERNET:
            if question.kind in (dns.A, dns.AAAA, dns.MX):
                known = self._answer_addresses(query, question, limit)
            else:
                known = self._answer_name(query, question) if question.kind == dns.PTR else None
            if known is not None:
                return known
        if not self.can_forward:
            return dns.refuse(query, dns.SERVER_FAILURE, question)
        if self.keeps_single_labels and "." not in question.name and question.kind in (dns.A, dns.AAAA):
            return dns.refuse(query, dns.NO_ERROR, question)
        return question

    def _answer_addresses(self, query: bytes, question: dns.Question, limit: int) -> bytes | None:
        """A name that is ours has no mail server of its own: the empty answer makes clients ask for its address."""
        addresses = self._table.find(self._sandbox_id, question.name, ipv6=question.kind == dns.AAAA)
        if addresses is None:
            return None
        if question.kind == dns.MX:
            addresses = []
        turns = range(max(1, min(len(addresses), _ROTATIONS)))
        answers = [
            dns.answer_addresses(
                query, question, addresses[turn:] + addresses[:turn], ttl_seconds=TTL_SECONDS, limit=limit
            )
            for turn in turns
        ]
        if not limit:
            if len(self._kept) >= _KEPT_ANSWERS:
                self._kept.clear()
            self._kept[query[2:]] = [answer[2:] for answer in answers[1:] + answers[:1]]
        return answers[0]

    def _answer_name(self, query: bytes, question: dns.Question) -> bytes | None:
        address = parse_reverse(question.name)
        name = self._table.find_name(self._sandbox_id, address) if address else ""
        return dns.answer_name(query, question, name, ttl_seconds=TTL_SECONDS) if name else None


def parse_reverse(name: str) -> bytes:
    """The packed address that `4.3.2.1.in-addr.arpa` or its IPv6 cousin means; empty when it means none."""
    try:
        if name.endswith(_IPV4_SUFFIX):
            address = bytes(map(int, reversed(name.removesuffix(_IPV4_SUFFIX).split("."))))
            return address if len(address) == 4 else b""
        if name.endswith(_IPV6_SUFFIX):
            nibbles = name.removesuffix(_IPV6_SUFFIX).split(".")
            if len(nibbles) == 32 and all(len(nibble) == 1 for nibble in nibbles):
                return bytes.fromhex("".join(reversed(nibbles)))
    except ValueError:
        return b""
    return b""
