# SPDX-License-Identifier: Apache-2.0
"""Collectors for the tests: they take what a log driver sends and say what it was, as (stream, text)."""

import array
import gzip
import json
import os
import re
import selectors
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

Said = tuple[int, bytes]


class Collector:
    """Listens on an address of `kind` (tcp, udp, unix, unixgram) until `stop`; everything received is in `messages`.

    `split` takes the messages off the front of a stream's buffer. A stalled one accepts and does not read.
    """

    def __init__(
        self,
        kind: str,
        address: object = None,
        *,
        split: Callable[[bytearray], list[bytes]] | None = None,
        answer: Callable[[bytes], bytes] | None = None,
        context: ssl.SSLContext | None = None,
        is_stalled: bool = False,
    ) -> None:
        is_stream = kind in ("tcp", "unix")
        family = socket.AF_INET if kind in ("tcp", "udp") else socket.AF_UNIX
        self.messages: list[bytes] = []
        self._split, self._answer, self._context, self._is_stalled = split, answer, context, is_stalled
        self._is_stream = is_stream
        self._sock = socket.socket(family, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._sock.bind(address or ("127.0.0.1", 0))
        if is_stream:
            self._sock.listen()
        self.address = self._sock.getsockname()
        self._connections: list[socket.socket] = []
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hangs up and frees the address."""
        self._wake.close()
        self._thread.join()
        for sock in (*self._connections, self._sock, self._woken):
            sock.close()
        if isinstance(self.address, str):
            os.unlink(self.address)

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self._woken, selectors.EVENT_READ)
        selector.register(self._sock, selectors.EVENT_READ)
        buffers: dict[int, bytearray] = {}
        while True:
            for key, _ in selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._woken:
                    return
                if sock is self._sock and self._is_stream:
                    try:
                        made = self._accept()
                    except OSError:
                        continue
                    self._connections.append(made)
                    buffers[made.fileno()] = bytearray()
                    if not self._is_stalled:
                        selector.register(made, selectors.EVENT_READ)
                elif sock is self._sock:
                    self._take_datagram()
                elif not self._read(sock, buffers[sock.fileno()]):
                    selector.unregister(sock)

    def _accept(self) -> socket.socket:
        made, _ = self._sock.accept()
        if self._context is not None:
            return self._context.wrap_socket(made, server_side=True)
        if self._is_stalled:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return made

    def _read(self, sock: socket.socket, buffer: bytearray) -> bool:
        try:
            data = sock.recv(1 << 20)
        except OSError:
            return False
        buffer += data
        assert self._split is not None
        for message in self._split(buffer):
            self.messages.append(message)
            if self._answer is not None:
                sock.sendall(self._answer(message))
        return bool(data)

    def _take_datagram(self) -> None:
        data, ancillary, _, _ = self._sock.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, _, payload in ancillary:
            fd = array.array("i", payload)[0]
            data = os.pread(fd, 1 << 20, 0)
            os.close(fd)
        self.messages.append(data)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits, looking often; fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def split_lines(buffer: bytearray) -> list[bytes]:
    """Syslog over a stream."""
    return _split_at(buffer, b"\n")


def split_zeros(buffer: bytearray) -> list[bytes]:
    """GELF over a stream."""
    return _split_at(buffer, b"\0")


def _split_at(buffer: bytearray, end: bytes) -> list[bytes]:
    whole, found, _ = bytes(buffer).rpartition(end)
    if not found:
        return []
    del buffer[: len(whole) + 1]
    return whole.split(end)


def split_counted(buffer: bytearray) -> list[bytes]:
    """Syslog over TLS with RFC 5425's lengths."""
    messages: list[bytes] = []
    while found := re.match(rb"(\d+) ", buffer):
        start = found.end()
        if len(buffer) < start + int(found.group(1)):
            break
        messages.append(bytes(buffer[start : start + int(found.group(1))]))
        del buffer[: start + int(found.group(1))]
    return messages


def split_msgpack(buffer: bytearray) -> list[bytes]:
    """One array after the other, still packed."""
    messages: list[bytes] = []
    while buffer:
        try:
            _, end = _unpack(bytes(buffer), 0)
        except (IndexError, struct.error):
            break
        messages.append(bytes(buffer[:end]))
        del buffer[:end]
    return messages


def unpack(data: bytes) -> object:
    """One MessagePack value; a time with nanoseconds is a pair."""
    return _unpack(data, 0)[0]


def _unpack(data: bytes, at: int) -> tuple[object, int]:
    kind = data[at]
    if kind < 0x80:
        return kind, at + 1
    if kind < 0x90:
        return _unpack_map(data, at + 1, kind & 15)
    if kind < 0xA0:
        return _unpack_array(data, at + 1, kind & 15)
    if kind < 0xC0:
        return _cut(data, at + 1, kind & 31)
    match kind:
        case 0xD9:
            return _cut(data, at + 2, data[at + 1])
        case 0xDA:
            return _cut(data, at + 3, struct.unpack_from(">H", data, at + 1)[0])
        case 0xDB:
            return _cut(data, at + 5, struct.unpack_from(">I", data, at + 1)[0])
        case 0xDE:
            return _unpack_map(data, at + 3, struct.unpack_from(">H", data, at + 1)[0])
        case 0xD2:
            return struct.unpack_from(">i", data, at + 1)[0], at + 5
        case 0xD3:
            return struct.unpack_from(">q", data, at + 1)[0], at + 9
        case 0xD7:
            return struct.unpack_from(">II", data, at + 2), at + 10
        case other:
            raise AssertionError(f"unexpected MessagePack byte {other:#x}")


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if len(data) < at + size:
        raise IndexError
    return data[at : at + size], at + size


def _unpack_array(data: bytes, at: int, count: int) -> tuple[list[object], int]:
    values: list[object] = []
    for _ in range(count):
        value, at = _unpack(data, at)
        values.append(value)
    return values, at


def _unpack_map(data: bytes, at: int, count: int) -> tuple[dict[object, object], int]:
    values, at = _unpack_array(data, at, 2 * count)
    return dict(zip(values[::2], values[1::2], strict=True)), at


def read_syslog(messages: list[bytes]) -> Iterator[Said]:
    """What syslog messages say; the severity is the stream."""
    for message in messages:
        found = re.match(rb"<(\d+)>.*?(?:\[\d+\]: | - )(.*)", message, re.DOTALL)
        assert found is not None, message
        yield {6: 1, 3: 2}[int(found.group(1)) % 8], found.group(2).removesuffix(b"\n")


def read_gelf(messages: list[bytes]) -> Iterator[Said]:
    """What GELF documents say."""
    for document in gelf_documents(messages):
        yield {6: 1, 3: 2}[document["level"]], document["short_message"].encode()


def gelf_documents(messages: list[bytes]) -> Iterator[dict[str, object]]:
    """Joins chunks and decompresses."""
    chunks: dict[bytes, dict[int, bytes]] = {}
    for message in messages:
        if message[:2] == b"\x1e\x0f":
            pieces = chunks.setdefault(message[2:10], {})
            pieces[message[10]] = message[12:]
            if len(pieces) < message[11]:
                continue
            message = b"".join(pieces[number] for number in sorted(pieces))
        if message[:2] == b"\x1f\x8b":
            message = gzip.decompress(message)
        elif message[:1] == b"\x78":
            message = zlib.decompress(message)
        yield json.loads(message)


def read_fluentd(messages: list[bytes]) -> Iterator[Said]:
    """What forward messages say."""
    for message in messages:
        _, _, record, _ = unpack(message)  # type: ignore[misc]
        yield {b"stdout": 1, b"stderr": 2}[record[b"source"]], record[b"log"]


def read_journal(messages: list[bytes]) -> Iterator[Said]:
    """What journal entries say."""
    for message in messages:
        fields = journal_fields(message)
        yield {b"6": 1, b"3": 2}[fields[b"PRIORITY"]], fields[b"MESSAGE"]


def journal_fields(message: bytes) -> dict[bytes, bytes]:
    """One entry of the native protocol."""
    fields: dict[bytes, bytes] = {}
    while message:
        line, _, rest = message.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        fields[name] = value
        message = rest
    return fields


def unix_path(folder: Path) -> str:
    """A name for a socket, short enough for any temporary folder."""
    return str(folder / "s")
