# SPDX-License-Identifier: Apache-2.0
"""`hold manifest inspect`: show a manifest or a list, of one's own or a registry's."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import manifest_registry, manifest_text
from holdfast.cli.flags import Command, Flag, Values
from holdfast.cli.manifest_store import Entry, ManifestStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("insecure", "", "bool", "Allow communication with an insecure registry"),
    Flag("verbose", "v", "bool", "Output additional info including layers and platform"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """A list that is being made here comes first, then what the registry has."""
    reference = manifest_registry.parse(arguments[-1])
    store = ManifestStore()
    if len(arguments) == 2:
        found: Entry | list[Entry] = store.get(str(manifest_registry.parse(arguments[0])), str(reference))
    elif store.has(str(reference)):
        found = store.entries(str(reference))
    else:
        there = manifest_registry.look_at(reference, is_insecure=values["insecure"])
        if isinstance(there, Entry):
            found = there
        elif values["verbose"]:
            found = manifest_registry.members(reference, there, is_insecure=values["insecure"])
        else:
            print(manifest_text.list_text(there))
            return 0
    if values["verbose"]:
        print(manifest_text.to_text(_whole(found), "\t"))
    elif isinstance(found, Entry):
        print(manifest_text.indented(found.raw))
    else:
        for entry in found:
            _check(entry, str(reference))
        print(manifest_text.list_text([entry.descriptor for entry in found]))
    return 0


def _check(entry: Entry, target: str) -> None:
    try:
        manifest_text.check_same_registry(entry, target)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"failed to assemble ManifestDescriptor: {error.message}") from None


def _whole(found: Entry | list[Entry]) -> Any:
    return found.to_json() if isinstance(found, Entry) else [entry.to_json() for entry in found]


COMMAND = Command(
    "manifest inspect",
    "manifest inspect [OPTIONS] [MANIFEST_LIST] MANIFEST",
    "Display an image manifest, or manifest list",
    run,
    _FLAGS,
    minimum=1,
    maximum=2,
)
