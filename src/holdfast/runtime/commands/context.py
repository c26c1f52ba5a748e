# SPDX-License-Identifier: Apache-2.0
"""What every verb of `hold-runc` is given: the state store, the global flags, and two checks on arguments."""

from __future__ import annotations

from holdfast.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.state import Record, Store


class Context:
    """Global flags; `is_rootless` forgives a cgroup that may not be made."""

    __slots__ = ("is_rootless", "is_systemd_form", "store")

    def __init__(self, store: Store, *, is_systemd_form: bool, is_rootless: bool) -> None:
        self.store = store
        self.is_systemd_form = is_systemd_form
        self.is_rootless = is_rootless

    def load(self, arguments: Sequence[str], verb: str) -> Record:
        """The container that a verb's only argument names."""
        expect(arguments, verb, exactly=1)
        return self.store.load(arguments[0])


def expect(arguments: Sequence[str], verb: str, *, exactly: int = -1, at_least: int = -1, at_most: int = -1) -> None:
    """Checks a verb's number of arguments in runc's words."""
    count = len(arguments)
    if exactly >= 0 and count != exactly:
        raise InvalidArgument(f'"hold-runc {verb}" requires exactly {exactly} argument(s)')
    if at_least >= 0 and count < at_least:
        raise InvalidArgument(f'"hold-runc {verb}" requires a minimum of {at_least} argument(s)')
    if at_most >= 0 and count > at_most:
        raise InvalidArgument(f'"hold-runc {verb}" requires a maximum of {at_most} argument(s)')
