# SPDX-License-Identifier: Apache-2.0
"""The daemon from outside: its lock, its sockets and who may use them; the network's switches."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator

from holdfast.api import facts
from holdfast.daemon.config import Config
from holdfast.daemon.doctor.finding import Finding, good, note, wrong
from holdfast.kernel import nftables
from holdfast.transport.listener import Address

_PATIENCE_SECONDS = 3.0
_TABLE = "holdfast"


def look_at_daemon(options: Config) -> Iterator[Finding]:
    """Does it run, does it answer, who may ask it."""
    owner = running_pid(options.data_root)
    if owner is None:
        yield note(f"no daemon works on {options.data_root}", "systemctl start holdfastd, or holdfastd &")
    else:
        yield good(f"holdfastd runs as process {owner}")
    for address in options.addresses:
        if address.scheme == "unix":
            yield look_at_socket(address, is_running=owner is not None)
        elif address.scheme == "tcp" and options.tls is None:
            yield note(f"{address} is without TLS: whoever can connect is root", "use --tlsverify")
    for name in options.ignored:
        yield note(f"option {name} has no effect here", "nothing; or take it out of the configuration")


def running_pid(data_root: str) -> str | None:
    """Who holds the lock on the data root; None when nobody does."""
    try:
        with open(os.path.join(data_root, "holdfastd.lock"), encoding="ascii", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except OSError:
        return None
    return None


def look_at_socket(address: Address, *, is_running: bool) -> Finding:
    """Whether it is there, who may use it, whether somebody answers."""
    try:
        mode = stat.S_IMODE(os.stat(address.path).st_mode)
    except OSError:
        if is_running:
            return wrong(f"{address} is gone, though the daemon runs", "restart the daemon; containers live on")
        return note(f"{address} is not there", "nothing; the daemon makes it")
    if mode & 0o007:
        return wrong(f"{address} is open to everybody, who is root by it", f"chmod 660 {address.path}")
    if _answers(address.path):
        return good(f"{address} answers")
    if is_running:
        return wrong(f"the daemon does not answer at {address}", "look at its log, then restart it; containers live on")
    return note(f"{address} was left by a daemon that is gone", "nothing; the next one takes its place")


def _answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_PATIENCE_SECONDS)
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def look_at_network(options: Config) -> Iterator[Finding]:
    """Forwarding and our table; what other firewalls refuse the daemon's own log tells."""
    is_running = running_pid(options.data_root) is not None
    if facts.read_text("/proc/sys/net/ipv4/ip_forward").strip() == "1":
        yield good("packets are forwarded")
    elif options.ip_forward:
        yield note("net.ipv4.ip_forward is 0", "nothing; the first network that needs it switches it on")
    else:
        yield wrong("net.ipv4.ip_forward is 0 and --ip-forward is off", "sysctl net.ipv4.ip_forward=1")
    if not options.iptables:
        yield note("--iptables=false: nothing is published, and nothing is kept apart", "leave that option out")
        return
    try:
        tables = nftables.open_nftables().list_json("list tables")
    except (OSError, nftables.NftablesError) as error:
        yield wrong(f"the firewall cannot be read: {error}", "run as root, with nf_tables in the kernel")
        return
    if any(each.get("table", {}).get("name") == _TABLE for each in tables):
        yield good(f"the firewall has our table, among {len(tables)}")
    elif is_running:
        yield wrong(
            f"the firewall's table {_TABLE} is gone", "restart the daemon; or it is in another network namespace"
        )
