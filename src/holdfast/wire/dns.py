# SPDX-License-Identifier: Apache-2.0
"""DNS messages, as far as an embedded server needs them: reads a question, writes an answer (sans-IO).

Nothing else of a message is understood: what is not ours is forwarded as it came. A question's name is never compressed
by any resolver there is, so a compression pointer in it is refused and no loop can exist. Used by the resolver process
(`networks.dns`), which is why it imports nothing but `struct`. Sources: RFC 1035 §4, RFC 6891 (EDNS), RFC 2308.
"""

from __future__ import annotations

from struct import Struct

A, PTR, MX, AAAA, OPT = 1, 12, 15, 28, 41
INTERNET = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = 0, 1, 2, 3, 4, 5

MINIMUM_LIMIT = 512
"""What every client takes by UDP; more only by its own word (EDNS)."""
MAXIMUM_LIMIT = 4096
HEADER_BYTES = 12

_HEADER = Struct("!6H")
_TYPE_CLASS = Struct("!2H")
_RECORD = Struct("!HHIH")
_IS_RESPONSE, _OPCODE, _TRUNCATED, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
_CODE = 0x000F
_NAME_BYTES, _LABEL_BYTES = 255, 63
_OWN_NAME = b"\xc0\x0c"  # a pointer to the question's name
_OPT_RECORD = b"\0" + _RECORD.pack(OPT, MAXIMUM_LIMIT, 0, 0)


class Refused(Exception):
    """A message that cannot be answered in substance; `code` is what its sender is told, None: nothing at all."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Question:
    """What is asked: the name in lower case without its last dot, and what the answer must obey."""

    __slots__ = ("end", "has_edns", "kind", "limit", "name", "network_class")

    def __init__(self, name: str, kind: int, network_class: int, end: int) -> None:
        self.name = name
        self.kind = kind
        self.network_class = network_class
        self.end = end
        """Where the question ends in the message."""
        self.limit = MINIMUM_LIMIT
        self.has_edns = False


def parse_question(message: bytes) -> Question:
    """Reads a query with its one question; raises Refused for everything else."""
    if len(message) < HEADER_BYTES:
        raise Refused(None)
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(message)
    if flags & _IS_RESPONSE:
        raise Refused(None)
    if flags & _OPCODE:
        raise Refused(NOT_IMPLEMENTED)
    if questions != 1:
        raise Refused(FORMAT_ERROR)
    name, offset = _parse_name(message, HEADER_BYTES)
    if offset + 4 > len(message):
        raise Refused(FORMAT_ERROR)
    kind, network_class = _TYPE_CLASS.unpack_from(message, offset)
    question = Question(name, kind, network_class, offset + 4)
    if additionals and not answers and not authorities:
        _read_edns(message, question)
    return question


def _parse_name(message: bytes, offset: int) -> tuple[str, int]:
    labels: list[bytes] = []
    start = offset
    while True:
        if offset >= len(message):
            raise Refused(FORMAT_ERROR)
        length = message[offset]
        offset += 1
        if not length:
            break
        if length > _LABEL_BYTES or offset + length >= len(message) or offset + length - start > _NAME_BYTES - 1:
            raise Refused(FORMAT_ERROR)
        labels.append(message[offset : offset + length])
        offset += length
    if any(b"." in label for label in labels):
        return "", offset  # such a name is nobody's here, and its text would be somebody else's
    return b".".join(labels).lower().decode("latin-1"), offset


def _read_edns(message: bytes, question: Question) -> None:
    """Looks for the OPT record where every client has it: first behind the question."""
    offset = question.end
    if message[offset : offset + 1] != b"\0" or offset + 11 > len(message):
        return
    kind, size = _TYPE_CLASS.unpack_from(message, offset + 1)
    if kind == OPT:
        question.has_edns = True
        question.limit = min(max(size, MINIMUM_LIMIT), MAXIMUM_LIMIT)


def answer_addresses(
    query: bytes, question: Question, addresses: list[bytes], *, ttl_seconds: int, limit: int = 0
) -> bytes:
    """The answer with one record per packed address; none: the name exists and has no such record.

    `limit`: how long it may be where the question does not say (by TCP). What does not fit is left out, and told.
    """
    records = [_record(question.kind, ttl_seconds, address) for address in addresses]
    return _answer(query, question, records, limit or question.limit)


def answer_name(query: bytes, question: Question, name: str, *, ttl_seconds: int) -> bytes:
    """The answer to a question for an address's name."""
    return _answer(query, question, [_record(PTR, ttl_seconds, pack_name(name))], question.limit)


def refuse(query: bytes, code: int, question: Question | None = None) -> bytes:
    """An answer without records; without a question (it could not be read) only the header comes back."""
    end = question.end if question else HEADER_BYTES
    number, flags = _TYPE_CLASS.unpack_from(query)
    flags = _IS_RESPONSE | _RECURSION_AVAILABLE | (flags & (_OPCODE | _RECURSION_DESIRED)) | code
    return _HEADER.pack(number, flags, 1 if question else 0, 0, 0, 0) + query[HEADER_BYTES:end]


def pack_name(name: str) -> bytes:
    """A name as it stands in a record."""
    labels = [label.encode("latin-1", "replace")[:_LABEL_BYTES] for label in name.split(".") if label]
    return b"".join([bytes([len(label)]) + label for label in labels])[: _NAME_BYTES - 1] + b"\0"


def code_of(message: bytes) -> int:
    """The response code of a message that has a whole header."""
    return message[3] & _CODE


def is_answer_to(message: bytes, number: int, question: bytes) -> bool:
    """Whether a message is a response to the query of that number and question (the question's own bytes)."""
    if len(message) < HEADER_BYTES + len(question) or not message[2] & 0x80:
        return False
    if message[:2] != number.to_bytes(2, "big") or message[4:6] != b"\0\1":
        return False
    return message[HEADER_BYTES : HEADER_BYTES + len(question)].lower() == question.lower()


def _record(kind: int, ttl_seconds: int, data: bytes) -> bytes:
    return _OWN_NAME + _RECORD.pack(kind, INTERNET, ttl_seconds, len(data)) + data


def _answer(query: bytes, question: Question, records: list[bytes], limit: int) -> bytes:
    room = limit - question.end - (len(_OPT_RECORD) if question.has_edns else 0)
    flags = _IS_RESPONSE | _RECURSION_AVAILABLE | (_TYPE_CLASS.unpack_from(query)[1] & _RECURSION_DESIRED)
    if sum(map(len, records)) > room:
        flags |= _TRUNCATED
        records = records[: max(0, room // len(records[0]))]
    header = _HEADER.pack(int.from_bytes(query[:2], "big"), flags, 1, len(records), 0, question.has_edns)
    tail = _OPT_RECORD if question.has_edns else b""
    return header + query[HEADER_BYTES : question.end] + b"".join(records) + tail
