# SPDX-License-Identifier: Apache-2.0
"""Speaks syslog to a collector over udp, tcp, TLS or a local socket, byte for byte as dockerd does.

A collector that is away is looked for again with a back-off of up to five seconds; what is said meanwhile is dropped,
as in Docker. One that does not read holds the container up, unless `mode=non-blocking`. Empty lines are not sent.
Options: syslog-address (without one the machine's own), -facility, -format (rfc3164, rfc5424, rfc5424micro), -tls-*;
tag. Sources: RFC 3164, 5424, 5425; moby `daemon/logger/syslog`; RackSec/srslog.
"""

from __future__ import annotations

import os
import time

from holdfast import errors
from holdfast.logs import options
from holdfast.logs.connection import Connection, dial_inet, dial_unix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from holdfast.logs import tls
    from holdfast.logs.delivery import Lease
    from holdfast.logs.driver import Entry, Target

_OPTIONS = (
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
)
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("", "", "", ""),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_DAEMON = 3
_SEVERITIES = {1: 6, 2: 3}
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")
_TLS = "tcp+tls"
_PORT = "514"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist or has an impossible value."""
    options.refuse_unknown(given, _OPTIONS, "syslog log driver")
    _address(given.get("syslog-address", ""))
    _facility(given.get("syslog-facility", ""))
    if given.get("syslog-format", "") not in _FORMATS:
        raise errors.InvalidArgument("Invalid syslog format")


def open_sink(target: Target, lease: Lease) -> SyslogSink:
    """Makes the sink; it connects later."""
    return SyslogSink(target, lease)


def _address(address: str) -> tuple[str, str, str]:
    """Network, host and port; for a local socket its path instead of the host."""
    if not address:
        return "", "", ""
    scheme, host, path = options.url(address)
    if scheme in ("unix", "unixgram"):
        if not os.path.exists(path):
            raise errors.InvalidArgument(f"stat {path}: no such file or directory")
        return scheme, path, ""
    if scheme not in ("udp", "tcp", _TLS):
        raise errors.InvalidArgument(f"unsupported scheme: '{scheme}'")
    split = options.host_port(host)
    return (scheme, *split) if split is not None else (scheme, host, _PORT)


def _facility(name: str) -> int:
    if not name:
        return _DAEMON
    if name in _FACILITIES:
        return _FACILITIES.index(name)
    if name.isascii() and name.isdigit() and int(name) < len(_FACILITIES):
        return int(name)
    raise errors.InvalidArgument("invalid syslog facility")


class SyslogSink:
    """One container's connection to a syslog."""

    def __init__(self, target: Target, lease: Lease) -> None:
        given = target["options"]
        self._network, self._host, self._port = _address(given.get("syslog-address", ""))
        self._context = _tls_context(given) if self._network == _TLS else None
        self._facility = _facility(given.get("syslog-facility", ""))
        self._format = given.get("syslog-format", "")
        self._tag = target["facts"]["tag"] or "holdfast"
        self._hostname = os.uname().nodename if self._network else "localhost"
        is_stream = self._network in ("tcp", _TLS, "unix")
        self._connection = Connection(self._dial, lease, is_stream=is_stream, waits=lambda: (0.0,))
        self._ends_lines = self._format not in ("rfc5424", "rfc5424micro") or self._network != _TLS

    def connect(self) -> None:
        """See `driver.Sink`."""
        self._connection.open()

    def deliver(self, entries: Sequence[Entry]) -> None:
        """See `driver.Sink`."""
        self._connection.deliver([self._message(entry) for entry in entries if entry.text])

    def close(self) -> None:
        """See `driver.Sink`."""
        self._connection.close()

    def _dial(self) -> socket.socket:
        if self._network in ("unix", "unixgram"):
            return dial_unix(self._network, self._host)
        if self._network:
            return dial_inet("udp" if self._network == "udp" else "tcp", self._host, self._port, self._context)
        for network in ("unixgram", "unix"):
            for path in _LOCAL:
                try:
                    return dial_unix(network, path)
                except errors.Unavailable:
                    continue
        raise errors.Unavailable("Unix syslog delivery error")

    def _message(self, entry: Entry) -> bytes:
        priority = self._facility * 8 + _SEVERITIES[entry.stream]
        second, fraction = divmod(entry.nanos, 1_000_000_000)
        moment = time.localtime(second)
        if self._format in ("rfc5424", "rfc5424micro"):
            micros = f".{fraction // 1000:06d}" if self._format == "rfc5424micro" else ""
            when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}{micros}{_zone(moment)}"
            head = f"<{priority}>1 {when} {self._hostname} {self._tag} {os.getpid()} {self._tag} - "
        else:
            when = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2d} {time.strftime('%H:%M:%S', moment)}"
            host = f" {self._hostname}" if self._format else ""
            head = f"<{priority}>{when}{host} {self._tag}[{os.getpid()}]: "
        message = b"%b%b\n" % (head.encode(), entry.text)
        return message if self._ends_lines else b"%d %b" % (len(message), message)


def _zone(moment: time.struct_time) -> str:
    """`Z` or `+02:00`."""
    minutes = moment.tm_gmtoff // 60
    return f"{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "Z"


def _tls_context(given: Mapping[str, str]) -> tls.Context:
    from holdfast.logs import tls

    return tls.client_context(
        given.get("syslog-tls-ca-cert", ""),
        given.get("syslog-tls-cert", ""),
        given.get("syslog-tls-key", ""),
        verifies="syslog-tls-skip-verify" not in given,
    )
