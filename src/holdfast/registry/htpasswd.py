# SPDX-License-Identifier: Apache-2.0
"""Users with bcrypt passwords from an htpasswd file; read again when the file has changed.

bcrypt is slow on purpose, so what was right once is remembered for some minutes, as a keyed hash and not as a password.
Only bcrypt lines count (`htpasswd -B`), as in distribution. Source: distribution `registry/auth/htpasswd`; RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable

import bcrypt

from holdfast.errors import InvalidArgument
from holdfast.registry.access import Scope, unauthorized

_KEEP_SECONDS = 300.0
_KEEP_MOST = 1024
_FILE_MAX_BYTES = 4 << 20
_NOBODY = b"$2b$10$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"
"""A password that nobody has, so that an unknown user costs as much time as a wrong password."""


class HtpasswdGate:
    """Whoever is in the file may do everything."""

    def __init__(self, path: str, realm: str = "Holdfast", clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._challenge = f'Basic realm="{realm}"'
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] = (0, 0)
        self._users: dict[str, bytes] = {}
        self._right: dict[bytes, float] = {}
        self._reload()

    def admit(self, authorization: str, wanted: list[Scope]) -> list[Scope]:
        """See `access.Gate`."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "basic" or not self._is_right(given.strip()):
            raise unauthorized(self._challenge)
        return wanted

    def _is_right(self, given: str) -> bool:
        self._reload()
        mark = hmac.digest(self._key, given.encode("utf-8", "surrogateescape"), "sha256")
        now = self._clock()
        with self._lock:
            if self._right.get(mark, 0.0) > now:
                return True
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self._users.get(user)
        try:
            is_right = bcrypt.checkpw(password.encode()[:72], known or _NOBODY) and known is not None
        except ValueError:
            return False
        if is_right:
            with self._lock:
                if len(self._right) >= _KEEP_MOST:
                    self._right.clear()
                self._right[mark] = now + _KEEP_SECONDS
        return is_right

    def _reload(self) -> None:
        try:
            info = os.stat(self._path)
            stamp = (info.st_mtime_ns, info.st_size)
            if stamp == self._stamp:
                return
            with open(self._path, "rb") as file:
                users = parse(file.read(_FILE_MAX_BYTES))
        except OSError as error:
            if self._stamp == (0, 0):
                raise InvalidArgument(f"cannot read {self._path}: {error.strerror}") from None
            return  # being replaced: the users of a moment ago stay
        with self._lock:
            self._stamp, self._users = stamp, users
            self._right.clear()


def parse(data: bytes) -> dict[str, bytes]:
    """Users and their bcrypt hashes; lines of other kinds are no user's. InvalidArgument for a line without a colon."""
    users: dict[str, bytes] = {}
    for number, line in enumerate(data.splitlines(), 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        user, colon, hashed = text.partition(b":")
        if not colon:
            raise InvalidArgument(f"htpasswd file: line {number} is not user:hash")
        if hashed.startswith((b"$2a$", b"$2b$", b"$2y$")):
            users[user.decode("utf-8", "replace")] = hashed
    return users
