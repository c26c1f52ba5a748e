# SPDX-License-Identifier: Apache-2.0
"""`hold system dial-stdio`: our stdio joined to the daemon's socket; the far end of an ssh:// host."""

from __future__ import annotations

import os
import select

from holdfast.cli.flags import Command, Values
from holdfast.client import dial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_CHUNK_BYTES = 65536
_SHUT_WR = 1


def run(session: Session, _values: Values, _arguments: list[str]) -> int:
    """Ends when the daemon closes its side."""
    stream = dial.dial(session.endpoint)
    watched = [0, stream.fileno()]
    while True:
        ready = select.select(watched, [], [])[0]
        if 0 in ready:
            data = os.read(0, _CHUNK_BYTES)
            if data:
                stream.sendall(data)
            else:
                stream.shutdown(_SHUT_WR)
                watched.remove(0)
        if stream.fileno() in ready:
            data = stream.recv(_CHUNK_BYTES)
            if not data:
                return 0
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]


COMMAND = Command(
    "system dial-stdio", "system dial-stdio", "Proxy the stdio stream to the daemon connection", run, maximum=0
)
