# SPDX-License-Identifier: Apache-2.0
"""Speaks to systemd's journal by its native protocol: one datagram per entry, a sealed memfd for one that is too long.

While the journal is being restarted entries are dropped; one whose queue is full is waited for. Reading back is done
from the local copy (`logs.policy`), not from the journal.
Options: tag, labels, env. Sources: systemd's JOURNAL_NATIVE_PROTOCOL; moby `daemon/logger/journald`.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
from struct import pack

from holdfast import errors
from holdfast.logs import escape, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.logs.delivery import Lease
    from holdfast.logs.driver import Entry, Target

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {1: b"6", 2: b"3"}
_TOO_LONG = (90, 105)  # EMSGSIZE, ENOBUFS
_ADD_SEALS = 1033
_ALL_SEALS = 0xF
_SHORT = 12


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist."""
    options.refuse_unknown(given, (), "journald log driver")


def open_sink(target: Target, lease: Lease) -> JournaldSink:
    """Makes the sink; it looks for the journal later."""
    return JournaldSink(target, lease, SOCKET)


class JournaldSink:
    """One container's way into the journal."""

    def __init__(self, target: Target, lease: Lease, path: str) -> None:
        facts = target["facts"]
        fields = {
            "CONTAINER_ID": facts["id"][:_SHORT],
            "CONTAINER_ID_FULL": facts["id"],
            "CONTAINER_NAME": facts["name"],
            "CONTAINER_TAG": facts["tag"],
            "IMAGE_NAME": facts["image_name"],
            "SYSLOG_IDENTIFIER": facts["tag"],
            "CONTAINER_LOG_EPOCH": os.urandom(32).hex(),
        }
        fields.update((_field_name(name), value) for name, value in target["attributes"].items())
        self._fixed = b"".join(_field(name.encode(), value.encode()) for name, value in fields.items() if name)
        self._path = path
        self._lease = lease
        self._clock = escape.Clock()
        self._ordinal = 0
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.settimeout(lease.slice_seconds)

    def connect(self) -> None:
        """See `driver.Sink`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(self._path)
            except OSError:
                raise errors.Unavailable("journald is not enabled on this host") from None

    def deliver(self, entries: Sequence[Entry]) -> None:
        """See `driver.Sink`."""
        for entry in entries:
            self._send(self._message(entry))

    def close(self) -> None:
        """See `driver.Sink`."""
        self._sock.close()

    def _message(self, entry: Entry) -> bytes:
        self._ordinal += 1
        parts = [
            _field(b"PRIORITY", _PRIORITIES[entry.stream]),
            _field(b"MESSAGE", entry.text),
            self._fixed,
            _field(b"SYSLOG_TIMESTAMP", self._clock.render(entry.nanos)),
            _field(b"CONTAINER_LOG_ORDINAL", b"%d" % self._ordinal),
        ]
        if entry.partial_id:
            parts.append(_field(b"CONTAINER_PARTIAL_ID", entry.partial_id.encode()))
            parts.append(_field(b"CONTAINER_PARTIAL_ORDINAL", b"%d" % entry.partial_ordinal))
            parts.append(_field(b"CONTAINER_PARTIAL_LAST", b"true" if entry.is_last else b"false"))
            if not entry.is_last:
                parts.append(_field(b"CONTAINER_PARTIAL_MESSAGE", b"true"))
        return b"".join(parts)

    def _send(self, message: bytes) -> None:
        while True:
            try:
                self._sock.sendto(message, self._path)
            except TimeoutError:
                self._lease.check()
                continue
            except OSError as error:
                if error.errno in _TOO_LONG:
                    self._send_file(message)
            return

    def _send_file(self, message: bytes) -> None:
        fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(fd, message)
            fcntl.fcntl(fd, _ADD_SEALS, _ALL_SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            while True:
                try:
                    self._sock.sendmsg([b""], rights, 0, self._path)
                except TimeoutError:
                    self._lease.check()
                    continue
                except OSError:
                    return  # the journal is away
                return
        finally:
            os.close(fd)


def _field(name: bytes, value: bytes) -> bytes:
    """A value with newlines in it carries its length."""
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name, pack("<Q", len(value)), value)
    return b"%b=%b\n" % (name, value)


def _field_name(name: str) -> str:
    """What the journal takes for a name: capital letters, digits and underscores, none of these first."""
    kept = "".join(letter.upper() if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return kept.lstrip("_")
