# SPDX-License-Identifier: Apache-2.0
"""`hold manifest rm`: forget lists that are being made here."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import manifest_registry
from holdfast.cli.flags import Command, Values
from holdfast.cli.manifest_store import ManifestStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Removes those that can be removed, and names the others."""
    store = ManifestStore()
    failures: list[str] = []
    for text in arguments:
        try:
            store.remove(str(manifest_registry.parse(text)))
        except (errors.NotFound, errors.InvalidArgument) as error:
            failures.append(error.message)
    for message in failures:
        session.say(message)
    return 1 if failures else 0


COMMAND = Command(
    "manifest rm",
    "manifest rm MANIFEST_LIST [MANIFEST_LIST...]",
    "Delete one or more manifest lists from local storage",
    run,
    minimum=1,
)
