# SPDX-License-Identifier: Apache-2.0
"""An interactive session with a container or an exec: terminal mode, window size, signal proxy and the relay in one place.

`run`, `start -a`, `attach` and `exec` differ only in what they upgrade and in which path takes their resizes and signals.
"""

from __future__ import annotations

import signal

from holdfast import errors
from holdfast.cli import relay, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.cli.main import Session
    from holdfast.client.api import Upgraded


class Attached:
    """What is attached: where resizes and signals go, and which local streams take part."""

    __slots__ = ("detach_keys", "has_stdin", "has_tty", "outputs", "resize_path", "signal_path")

    def __init__(
        self,
        *,
        resize_path: str,
        signal_path: str | None,
        has_stdin: bool,
        has_tty: bool,
        outputs: tuple[int | None, int | None] = (1, 2),
        detach_keys: str = "",
    ) -> None:
        self.resize_path, self.signal_path = resize_path, signal_path
        self.has_stdin, self.has_tty, self.outputs = has_stdin, has_tty, outputs
        self.detach_keys = relay.parse_detach_keys(detach_keys)


def converse(
    session: Session, upgraded: Upgraded, attached: Attached, *, begin: Callable[[], None] | None = None
) -> bool:
    """Relays until the far side ends; `begin` (the start request) runs once everything is in place.

    Returns False when the user detached, True otherwise.
    """
    numbers: list[signal.Signals] = []
    if attached.signal_path is not None:
        numbers = relay.proxied_signals()
    if attached.has_tty and signal.SIGWINCH not in numbers:
        numbers.append(signal.SIGWINCH)
    use_raw = attached.has_tty and attached.has_stdin
    conversation = relay.Relay(
        upgraded,
        framed=not attached.has_tty,
        stdin_fd=relay.stdin_fd() if attached.has_stdin else None,
        outputs=attached.outputs,
        detach_keys=attached.detach_keys if use_raw else b"",
    )

    def on_signal(number: int) -> None:
        _forward(session, attached, number)

    with relay.Signals(numbers) as signals, terminal.RawMode() if use_raw else _NoMode():
        if begin is not None:
            begin()
        if attached.has_tty:
            resize(session, attached.resize_path)
        conversation.run(signals, on_signal)
    return not conversation.was_detached


class _NoMode:
    def __enter__(self) -> _NoMode:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def resize(session: Session, path: str) -> None:
    """Tells the far terminal our size; a container that has just ended is no error."""
    size = terminal.size()
    if size is None:
        return
    try:
        session.api.call("POST", path, query={"h": size[0], "w": size[1]})
    except errors.HoldfastError:
        return


def _forward(session: Session, attached: Attached, number: int) -> None:
    if number == signal.SIGWINCH and attached.has_tty:
        resize(session, attached.resize_path)
        return
    if attached.signal_path is None or number == signal.SIGWINCH:
        return
    try:
        session.api.call("POST", attached.signal_path, query={"signal": signal.Signals(number).name})
    except errors.HoldfastError:
        return
