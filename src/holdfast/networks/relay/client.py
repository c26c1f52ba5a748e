# SPDX-License-Identifier: Apache-2.0
"""The daemon's end of the relay process: gives it ports, takes them back, replaces it when it dies.

A port is handed over as the socket that reserves it (`networks.ports`), listening already: nothing is waited for, and
who knocks before the process runs waits in the kernel. The daemon keeps its own descriptor, for a relay to come; the
relay keeps its, for a daemon to come (`recover`). Called from the controller's thread. Cost of a port 0.05 ms, of its
end 0.1 ms (waited for: the port must be free then); the first one of a host starts the process, 2 ms.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast import errors
from holdfast.networks.companions.client import Companion
from holdfast.networks.relay import protocol
from holdfast.networks.values import BoundPort, RelayRule

_BACKLOG = 4096


class Relay:
    """One relay for one exec root; `holder_of` knows the socket that reserves a port."""

    __slots__ = ("_companion", "_holder_of", "_wanted")

    def __init__(self, directory: Path, holder_of: Callable[[BoundPort], socket.socket | None]) -> None:
        self._companion = Companion(
            directory / protocol.SOCKET_NAME, protocol.MODULE, protocol.VERSION, "relay of published ports"
        )
        self._holder_of = holder_of
        self._wanted: dict[str, RelayRule] = {}

    @property
    def pid(self) -> int:
        """The process that relays, or did last."""
        return self._companion.pid

    def recover(self) -> dict[str, socket.socket]:
        """The sockets, by their ports' keys, that a relay of the last daemon's time has; the caller's now."""
        found: dict[str, socket.socket] = {}
        try:
            if self._companion.find():
                keys: list[str] = self._companion.ask({"do": "list"})[0]["keys"]
                for key in keys:
                    _reply, (fd,) = self._companion.ask({"do": "give", "key": key})
                    found[key] = socket.socket(fileno=fd)
        except OSError:
            self._companion.hang_up()
        return found

    def dismiss(self) -> None:
        """Ends a relay of the last daemon's time; its ports are free when this returns."""
        try:
            if self._companion.find():
                self._companion.tell({"do": "begin"})
                self._companion.ask({"do": "end"})
                self._companion.tell({"do": "leave"})
        except OSError:  # it has left already
            pass
        self._companion.hang_up()

    def start(self, wanted: Sequence[RelayRule]) -> None:
        """What is to be relayed after a (re)start of the daemon, and nothing else. Raises Internal."""
        self._wanted = {rule.port.key: rule for rule in wanted}
        if self._wanted:
            self._tell_all()
        elif self._companion.is_present:
            self.dismiss()

    def open(self, rules: Sequence[RelayRule]) -> None:
        """From now on these are relayed; one that is already leads to its new target. Raises Internal."""
        if not rules:
            return
        self._wanted |= {rule.port.key: rule for rule in rules}
        if self._companion.is_present:
            try:
                for rule in rules:
                    self._hand_over(rule)
            except OSError:
                self._companion.hang_up()
        if not self._companion.is_present:
            self._tell_all()

    def shut(self, rules: Sequence[RelayRule]) -> None:
        """Ends them, and the connections through them; when this returns the relay has let go of the ports."""
        for rule in rules:
            if self._wanted.pop(rule.port.key, None) is None or not self._companion.is_present:
                continue
            try:
                self._companion.ask({"do": "shut", "key": rule.port.key})
            except OSError:  # dead, or mute: it is ended before another one starts
                self._companion.hang_up()

    def close(self) -> None:
        """Lets go of what the daemon holds; the relay goes on."""
        self._companion.hang_up()
        self._companion.bury_lost()

    def fileno(self) -> int:
        """Readable when `repair` has something to look at; -1 when there is nothing to watch."""
        return self._companion.fileno()

    def repair(self) -> str:
        """Replaces a relay that has died; returns what was done, for the daemon's log, or nothing."""
        was_lost = self._companion.bury_lost()
        if not self._wanted or self._companion.is_present:
            return ""
        self._tell_all()
        return "the relay of published ports had died and was started again" if was_lost else ""

    def _tell_all(self) -> None:
        try:
            self._companion.find_or_start()
            self._companion.tell({"do": "begin"})
            for rule in tuple(self._wanted.values()):
                self._hand_over(rule)
            self._companion.tell({"do": "end"})
        except OSError as error:
            self._companion.hang_up()
            raise errors.Internal(f"the relay of published ports does not answer: {error}") from error

    def _hand_over(self, rule: RelayRule) -> None:
        """A port that a foreign program took while no daemon was there has no socket, and is not ours to relay."""
        holder = self._holder_of(rule.port)
        if holder is None:
            return
        if holder.type == socket.SOCK_STREAM:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or ended connections would bar the next one
            holder.listen(_BACKLOG)
        order = {"do": "open", "key": rule.port.key, "target": [rule.container_ip, rule.port.container_port]}
        self._companion.tell(order, [holder.fileno()])
