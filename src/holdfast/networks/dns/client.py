# SPDX-License-Identifier: Apache-2.0
"""The daemon's end of the resolver process: tells it what to answer, and replaces it when it dies.

Everything that was published is kept here, so that a fresh process is told all of it at once. Blocking; called from the
controller's thread. A publish costs one exchange with the process (0.2 ms, most of it the sandbox's sockets); the first
one of a host without a resolver its start (30 ms). See `networks.names.Resolver` for the methods.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from holdfast import errors
from holdfast.networks.companions.client import Companion
from holdfast.networks.dns import protocol
from holdfast.networks.names import SandboxNames


class Client:
    """One resolver for one exec root; `directory` is one of ours."""

    __slots__ = ("_companion", "_published")

    def __init__(self, directory: Path) -> None:
        self._companion = Companion(directory / protocol.SOCKET_NAME, protocol.MODULE, protocol.VERSION, "DNS resolver")
        self._published: dict[str, SandboxNames] = {}

    @property
    def pid(self) -> int:
        """The process that answers, or did last."""
        return self._companion.pid

    def start(self, published: Sequence[SandboxNames]) -> None:
        self._published = {names.sandbox_id: names for names in published}
        if self._companion.find() or self._published:
            self._tell_all()

    def publish(self, names: SandboxNames) -> None:
        self._published[names.sandbox_id] = names
        if self._companion.is_present:
            try:
                self._send(names)
            except OSError:
                self._companion.hang_up()
        if not self._companion.is_present:
            self._tell_all(must=names.sandbox_id)

    def withdraw(self, sandbox_id: str) -> None:
        if self._published.pop(sandbox_id, None) is None or not self._companion.is_present:
            return
        try:
            self._companion.ask({"do": "withdraw", "sandbox_id": sandbox_id})
        except OSError:  # a dead resolver answers nobody; its successor will not know the sandbox
            self._companion.hang_up()

    def close(self) -> None:
        self._companion.hang_up()
        self._companion.bury_lost()

    def fileno(self) -> int:
        return self._companion.fileno()

    def repair(self) -> str:
        was_lost = self._companion.bury_lost()
        if not self._published:
            return ""
        if not self._companion.is_present:
            self._tell_all()
        return "the DNS resolver had died and was started again" if was_lost else ""

    def _tell_all(self, must: str = "") -> None:
        """Gives a process, found or started, everything; raises Internal when `must` cannot be answered for."""
        try:
            self._companion.find_or_start()
            self._companion.ask({"do": "begin"})
            for names in tuple(self._published.values()):
                try:
                    self._send(names)
                except errors.Internal:
                    if names.sandbox_id == must:
                        raise
            self._companion.ask({"do": "end"})
        except OSError as error:
            self._companion.hang_up()
            raise errors.Internal(f"the DNS resolver does not answer: {error}") from error

    def _send(self, names: SandboxNames) -> None:
        """With the namespace itself: where it is mounted may be visible to the daemon of now only."""
        try:
            fd = os.open(names.netns_path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise errors.Internal(f"cannot open network namespace {names.netns_path}: {error.strerror}") from error
        try:
            self._companion.ask({"do": "publish", "names": asdict(names)}, [fd])
        except errors.InvalidArgument:
            raise errors.InvalidArgument("a container has too many names and links for the DNS resolver") from None
        finally:
            os.close(fd)
