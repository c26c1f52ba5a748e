# SPDX-License-Identifier: Apache-2.0
"""Looks for the detach keys in what a client types (sans-IO).

Called by `attachment` for clients of a tty. Docker's default is ctrl-p ctrl-q; the daemon sends the bytes.
"""

from __future__ import annotations


class DetachScanner:
    """Finds one key sequence in a stream that arrives in pieces; a broken sequence is passed on whole."""

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Returns what the container may see of it, and whether the sequence is complete (the rest is dropped)."""
        if not self._keys:
            return data, False
        seen = self._held + data
        found = seen.find(self._keys)
        if found >= 0:
            self._held = b""
            return seen[:found], True
        for length in range(min(len(self._keys) - 1, len(seen)), 0, -1):
            if seen.endswith(self._keys[:length]):
                self._held = seen[-length:]
                return seen[:-length], False
        self._held = b""
        return seen, False
