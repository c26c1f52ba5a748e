# SPDX-License-Identifier: Apache-2.0
"""The error taxonomy: one class per action that the caller can take.

Raise where the fact is known; `api.errors` turns the class into an HTTP status, `cli.main` into an exit code.
A message is lower case (unless Docker's clients parse another wording), has no full stop, names the object and,
where there is one, the next step. Nothing here logs, and nothing imports this module's importers.
"""


class HoldfastError(Exception):
    """Root of every error that Holdfast raises on purpose; `message` is fit to show to a user."""

    http_status: int = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(HoldfastError):
    """The caller can fix it: a wrong flag, name, body or value."""

    http_status = 400


class Unauthenticated(HoldfastError):
    """The peer does not know who is asking."""

    http_status = 401


class Forbidden(HoldfastError):
    """The peer knows who is asking and says no."""

    http_status = 403


class NotFound(HoldfastError):
    """No such object; clients parse the text (`No such image: NAME:TAG`)."""

    http_status = 404


class Conflict(HoldfastError):
    """The object's state forbids it."""

    http_status = 409


class AlreadyExists(Conflict):
    """The name is taken."""


class NotModified(HoldfastError):
    """It is already so (start of a running container, stop of a stopped one)."""

    http_status = 304


class Unsupported(HoldfastError):
    """Not implemented, or the kernel lacks it."""

    http_status = 501


class Unavailable(HoldfastError):
    """A peer (registry, shim, plugin) does not answer; trying again may help."""

    http_status = 503


class Corrupt(HoldfastError):
    """Stored or received bytes do not match their digest or their shape."""


class Exhausted(HoldfastError):
    """No room left: disk, addresses, quota."""


class Internal(HoldfastError):
    """Our own bug, or a kernel refusal nobody foresaw; the traceback is logged with the job's id."""
