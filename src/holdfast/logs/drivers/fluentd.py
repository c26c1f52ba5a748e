# SPDX-License-Identifier: Apache-2.0
"""Speaks Fluentd's forward protocol over tcp, TLS or a local socket.

A collector that goes away is waited for with growing pauses (`fluentd-retry-wait` times 1.5 each, at most a minute),
`fluentd-max-retries` times, and so is the container, unless `fluentd-async` or `mode=non-blocking`. With
`fluentd-async` up to `fluentd-buffer-limit` entries (and 16 MB) wait in memory, more are dropped, and a container
starts without its collector. With `fluentd-request-ack` an entry counts as delivered when its receipt has come.
Sources: the forward protocol specification v1; moby `daemon/logger/fluentd`; fluent-logger-golang.
"""

from __future__ import annotations

import os
from base64 import b64encode

from holdfast import errors
from holdfast.logs import msgpack, options
from holdfast.logs.connection import Connection, dial_inet, dial_unix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdfast.logs.delivery import Lease
    from holdfast.logs.driver import Entry, Target

_OPTIONS = (
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
    "fluentd-read-timeout",
)
_SOURCES = {1: b"stdout", 2: b"stderr"}
_BUFFER_ENTRIES = 1024 * 1024
_MOST_RETRIES = 0x7FFFFFFF
_GROWTH = 1.5
_LONGEST_WAIT_SECONDS = 60.0
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 10.0


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist or has an impossible value."""
    options.refuse_unknown(given, _OPTIONS, "fluentd log driver")
    _Settings(given)


def buffer_entries(given: Mapping[str, str]) -> int:
    """How many entries may wait before something is dropped; 0 when the container waits instead."""
    settings = _Settings(given)
    return settings.buffer_entries if settings.is_async else 0


def open_sink(target: Target, lease: Lease) -> FluentdSink:
    """Makes the sink; it connects later."""
    return FluentdSink(target, lease)


class _Settings:
    """The options, read."""

    def __init__(self, given: Mapping[str, str]) -> None:
        address = given.get("fluentd-address", "")
        try:
            self.network, self.host, self.port = _address(address)
        except errors.InvalidArgument as error:
            raise errors.InvalidArgument(f"invalid fluentd-address ({address}): {error.message}") from None
        self.buffer_entries = _BUFFER_ENTRIES
        if given.get("fluentd-buffer-limit"):
            self.buffer_entries = options.size(given["fluentd-buffer-limit"], base=1024)
        self.retry_seconds = options.duration(given.get("fluentd-retry-wait") or "1s")
        self.retries = _MOST_RETRIES
        if given.get("fluentd-max-retries"):
            self.retries = options.integer(given["fluentd-max-retries"], "ParseUint") or _MOST_RETRIES
            if self.retries > _MOST_RETRIES:
                raise errors.InvalidArgument("invalid fluentd-max-retries: value out of range")
        self.is_async = options.boolean(given.get("fluentd-async") or "false")
        self.interval_seconds = _interval(given.get("fluentd-async-reconnect-interval") or "0")
        self.has_nanos = options.boolean(given.get("fluentd-sub-second-precision") or "false")
        self.wants_receipt = options.boolean(given.get("fluentd-request-ack") or "false")
        self.write_seconds = _timeout(given, "fluentd-write-timeout")
        self.read_seconds = _timeout(given, "fluentd-read-timeout")


def _address(address: str) -> tuple[str, str, str]:
    """Network, host and port; for a local socket its path instead of the host."""
    if not address:
        return "tcp", "127.0.0.1", "24224"
    if "://" not in address:
        address = f"tcp://{address}"
    scheme, host, path = options.url(address)
    if scheme == "unix":
        if not path.strip("/"):
            raise errors.InvalidArgument("path is empty")
        return scheme, path, ""
    if scheme not in ("tcp", "tls"):
        raise errors.InvalidArgument(f"unsupported scheme: '{scheme}'")
    if path:
        raise errors.InvalidArgument("should not contain a path element")
    name, port = options.host_port(host) or (host, "")
    if port and not (port.isascii() and port.isdigit()):
        raise errors.InvalidArgument(f'parse "{address}": invalid port ":{port}" after host')
    if port and int(port) > 0xFFFF:
        raise errors.InvalidArgument(f'invalid port: strconv.ParseUint: parsing "{port}": value out of range')
    return scheme, name or "127.0.0.1", port or "24224"


def _interval(text: str) -> float:
    try:
        seconds = options.duration(text)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"invalid value for fluentd-async-reconnect-interval: {error.message}") from None
    if seconds and not _SHORTEST_INTERVAL <= seconds <= _LONGEST_INTERVAL:
        raise errors.InvalidArgument(
            f'invalid value for fluentd-async-reconnect-interval: value ("{text}") must be between 100ms and 10s'
        )
    return seconds


def _timeout(given: Mapping[str, str], name: str) -> float:
    try:
        seconds = options.duration(given.get(name) or "0")
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"invalid value for {name}: value must be a duration: {error.message}") from None
    if seconds < 0:
        raise errors.InvalidArgument(f"invalid value for {name}: value must be a duration that is non-negative")
    return seconds


class FluentdSink:
    """One container's connection to a Fluentd."""

    def __init__(self, target: Target, lease: Lease) -> None:
        self._settings = settings = _Settings(target["options"])
        self._lease = lease
        self._tag = msgpack.text(target["facts"]["tag"].encode())
        self._fixed = {b"container_id": target["facts"]["id"].encode()}
        self._fixed[b"container_name"] = f"/{target['facts']['name']}".encode()
        self._extra = {key.encode(): value.encode() for key, value in target["attributes"].items()}
        self._connection = Connection(
            self._dial, lease, is_stream=True, waits=self._waits, write_seconds=settings.write_seconds
        )

    def connect(self) -> None:
        """See `driver.Sink`; an asynchronous one is not looked for yet."""
        if not self._settings.is_async:
            self._connection.open()

    def deliver(self, entries: Sequence[Entry]) -> None:
        """See `driver.Sink`."""
        if not self._settings.wants_receipt:
            self._connection.deliver([self._message(entry, b"") for entry in entries])
            return
        for entry in entries:
            chunk = b64encode(os.urandom(16))
            self._connection.deliver([self._message(entry, chunk)], self._receiver(chunk))

    def close(self) -> None:
        """See `driver.Sink`."""
        self._connection.close()

    def _dial(self) -> socket.socket:
        settings = self._settings
        if settings.network == "unix":
            return dial_unix("unix", settings.host)
        if settings.network == "tcp":
            return dial_inet("tcp", settings.host, settings.port)
        from holdfast.logs import tls

        return dial_inet("tcp", settings.host, settings.port, tls.client_context())

    def _waits(self) -> Iterator[float]:
        """At once, then with growing pauses."""
        yield 0.0
        wait = self._settings.interval_seconds or self._settings.retry_seconds
        for _ in range(self._settings.retries - 1):
            yield wait
            wait = min(wait * _GROWTH, _LONGEST_WAIT_SECONDS)

    def _message(self, entry: Entry, chunk: bytes) -> bytes:
        record = {**self._fixed, b"source": _SOURCES[entry.stream], b"log": entry.text, **self._extra}
        if entry.partial_id:
            record[b"partial_message"] = b"true"
            record[b"partial_id"] = entry.partial_id.encode()
            record[b"partial_ordinal"] = b"%d" % entry.partial_ordinal
            record[b"partial_last"] = b"true" if entry.is_last else b"false"
        moment = msgpack.event_time(entry.nanos) if self._settings.has_nanos else msgpack.seconds(entry.nanos)
        option = msgpack.mapping({b"chunk": chunk} if chunk else {})
        return b"".join((msgpack.array_head(4), self._tag, moment, msgpack.mapping(record), option))

    def _receiver(self, chunk: bytes) -> Callable[[socket.socket], bool]:
        """Waits for the receipt; the read timeout counts from the beginning."""

        def receive(sock: socket.socket) -> bool:
            received = b""
            waited = 0.0
            while True:
                try:
                    data = sock.recv(4096)
                except TimeoutError:
                    self._lease.check()
                    waited += self._lease.slice_seconds
                    if 0 < self._settings.read_seconds <= waited:
                        return False
                    continue
                if not data:
                    return False
                received += data
                try:
                    receipt = msgpack.read_receipt(received)
                except ValueError:
                    return False
                if receipt is not None:
                    return receipt == chunk

        return receive
