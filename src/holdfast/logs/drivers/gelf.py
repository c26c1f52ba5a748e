# SPDX-License-Identifier: Apache-2.0
"""Speaks GELF 1.1 to Graylog and its like: compressed and chunked over udp, one document and a zero byte over tcp.

A tcp collector that is away is looked for `gelf-tcp-max-reconnect` times with `gelf-tcp-reconnect-delay` seconds
between, then entries are dropped and it is looked for again with a back-off. Empty lines are not sent.
Options: gelf-address, gelf-compression-type and -level (udp), gelf-tcp-*; tag, labels, env. Sources: Graylog's
documentation of GELF; moby `daemon/logger/gelf`; Graylog2/go-gelf.
"""

from __future__ import annotations

import json
import os
import zlib

from holdfast import errors
from holdfast.logs import options
from holdfast.logs.connection import Connection, dial_inet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.logs.delivery import Lease
    from holdfast.logs.driver import Entry, Target

_OPTIONS = (
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
)
_WINDOWS = {"gzip": 31, "zlib": 15}
_LEVELS = {1: 6, 2: 3}
_CHUNK = 1420
_CHUNK_HEAD = 12
_MOST_CHUNKS = 128
_MAGIC = b"\x1e\x0f"


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist or has an impossible value."""
    scheme, _, _ = _address(given.get("gelf-address", ""))
    for name, value in given.items():
        if name in ("gelf-compression-level", "gelf-compression-type"):
            if scheme != "udp":
                raise errors.InvalidArgument("compression is only supported on UDP")
            if not _is_level(value) if name == "gelf-compression-level" else value not in (*_WINDOWS, "none"):
                raise errors.InvalidArgument(f'unknown value "{value}" for log opt "{name}" for gelf log driver')
        elif name in ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"):
            if scheme != "tcp":
                raise errors.InvalidArgument(f'"{name}" is only valid for TCP')
            if not (value.isascii() and value.isdigit()):
                raise errors.InvalidArgument(f'"{name}" must be a positive integer')
        elif name not in _OPTIONS and name not in options.COMMON:
            raise errors.InvalidArgument(f'unknown log opt "{name}" for gelf log driver')


def open_sink(target: Target, lease: Lease) -> GelfSink:
    """Makes the sink; it connects later."""
    return GelfSink(target, lease)


def _is_level(text: str) -> bool:
    try:
        return -1 <= options.integer(text) <= 9
    except errors.InvalidArgument:
        return False


def _address(address: str) -> tuple[str, str, str]:
    if not address:
        raise errors.InvalidArgument("gelf-address is a required parameter")
    scheme, host, _ = options.url(address)
    if scheme not in ("udp", "tcp"):
        raise errors.InvalidArgument("gelf: endpoint needs to be TCP or UDP")
    split = options.host_port(host)
    if split is None:
        raise errors.InvalidArgument("gelf: please provide gelf-address as proto://host:port")
    return (scheme, *split)


class GelfSink:
    """One container's connection to a GELF input."""

    def __init__(self, target: Target, lease: Lease) -> None:
        given = target["options"]
        self._network, self._host, self._port = _address(given["gelf-address"])
        self._window = _WINDOWS.get(given.get("gelf-compression-type", "gzip"), 0)
        self._level = int(given.get("gelf-compression-level", "1"))
        delays = (float(given.get("gelf-tcp-reconnect-delay", "1")),) * int(given.get("gelf-tcp-max-reconnect", "3"))
        self._connection = Connection(
            lambda: dial_inet(self._network, self._host, self._port),
            lease,
            is_stream=self._network == "tcp",
            waits=lambda: delays if self._network == "tcp" else (0.0,),
        )
        self._hostname = os.uname().nodename
        self._extra = json.dumps(_extra(target), separators=(",", ":"), ensure_ascii=False)[1:]

    def connect(self) -> None:
        """See `driver.Sink`."""
        try:
            self._connection.open()
        except errors.Unavailable as error:
            endpoint = f"{self._host}:{self._port}"
            raise errors.Unavailable(f"gelf: cannot connect to GELF endpoint: {endpoint} {error.message}") from None

    def deliver(self, entries: Sequence[Entry]) -> None:
        """See `driver.Sink`."""
        documents = [self._document(entry) for entry in entries if entry.text]
        if self._network == "tcp":
            self._connection.deliver([document + b"\0" for document in documents])
        else:
            self._connection.deliver([piece for document in documents for piece in self._datagrams(document)])

    def close(self) -> None:
        """See `driver.Sink`."""
        self._connection.close()

    def _document(self, entry: Entry) -> bytes:
        base = {
            "version": "1.1",
            "host": self._hostname,
            "short_message": entry.text.decode("utf-8", "replace"),
            "timestamp": entry.nanos // 1_000_000 / 1000,
            "level": _LEVELS[entry.stream],
        }
        text = json.dumps(base, separators=(",", ":"), ensure_ascii=False)
        return f"{text[:-1]},{self._extra}".encode("utf-8", "replace")

    def _datagrams(self, document: bytes) -> list[bytes]:
        """One datagram, or the chunks of a document that is too long for one; nothing when it is too long for those."""
        if self._window:
            compressor = zlib.compressobj(self._level, zlib.DEFLATED, self._window)
            document = compressor.compress(document) + compressor.flush()
        if len(document) <= _CHUNK:
            return [document]
        step = _CHUNK - _CHUNK_HEAD
        pieces = [document[start : start + step] for start in range(0, len(document), step)]
        if len(pieces) > _MOST_CHUNKS:
            return []
        head = _MAGIC + os.urandom(8)
        return [b"%b%c%c%b" % (head, number, len(pieces), piece) for number, piece in enumerate(pieces)]


def _extra(target: Target) -> dict[str, str]:
    facts = target["facts"]
    fields = {
        "_command": facts["command"],
        "_container_id": facts["id"],
        "_container_name": facts["name"],
        "_created": facts["created"],
        "_image_id": facts["image_id"],
        "_image_name": facts["image_name"],
        "_tag": facts["tag"],
    }
    for name, value in target["attributes"].items():
        fields[name if name.startswith("_") else f"_{name}"] = value
    return dict(sorted(fields.items()))
