# SPDX-License-Identifier: Apache-2.0
"""`hold manifest create`: begin a list of images for several platforms, or add to one."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import manifest_registry
from holdfast.cli.flags import Command, Flag, Values
from holdfast.cli.manifest_store import Entry, ManifestStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session
    from holdfast.oci.reference import Reference

_FLAGS = (
    Flag("amend", "a", "bool", "Amend an existing manifest list"),
    Flag("insecure", "", "bool", "Allow communication with an insecure registry"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Looks every image up before the list is touched."""
    try:
        target = manifest_registry.parse(arguments[0])
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"error parsing name for manifest list {arguments[0]}: {error.message}") from None
    store = ManifestStore()
    if store.has(str(target)) and not values["amend"]:
        raise errors.Conflict("refusing to amend an existing manifest list with no --amend flag")
    names = [manifest_registry.parse(text) for text in arguments[1:]]
    found = [_find(store, target, name, is_insecure=values["insecure"]) for name in names]
    for name, entry in zip(names, found, strict=True):
        store.save(str(target), str(name), entry)
    print(f"Created manifest list {target}")
    return 0


def _find(store: ManifestStore, target: Reference, name: Reference, *, is_insecure: bool) -> Entry:
    """The image as the list has it already, else as the registry has it."""
    try:
        return store.get(str(target), str(name))
    except errors.NotFound:
        return manifest_registry.fetch(name, is_insecure=is_insecure)


COMMAND = Command(
    "manifest create",
    "manifest create MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Create a local manifest list for annotating and pushing to a registry",
    run,
    _FLAGS,
    minimum=2,
)
