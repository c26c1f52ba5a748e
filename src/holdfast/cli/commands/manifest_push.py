# SPDX-License-Identifier: Apache-2.0
"""`hold manifest push`: give a list its name in the registry of its images."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import manifest_registry, manifest_text
from holdfast.cli.flags import Command, Flag, Values
from holdfast.cli.manifest_store import ManifestStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("insecure", "", "bool", "Allow push to an insecure registry"),
    Flag("purge", "p", "bool", "Remove the local manifest list after push"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the list's digest."""
    import hashlib

    target = manifest_registry.parse(arguments[0])
    store = ManifestStore()
    entries = store.entries(str(target))
    if not entries:
        raise errors.NotFound(f"{target} not found")
    for entry in entries:
        if not (entry.platform.get("os") and entry.platform.get("architecture")):
            raise errors.InvalidArgument(
                f"manifest {entry.ref} must have an OS and Architecture to be pushed to a registry"
            )
        manifest_text.check_same_registry(entry, str(target))
    descriptors = [entry.descriptor for entry in entries]
    data = manifest_text.list_text(descriptors).encode()
    kind = manifest_text.list_type(descriptors)
    manifest_registry.push(target, entries, data, kind, is_insecure=values["insecure"])
    print(f"sha256:{hashlib.sha256(data).hexdigest()}")
    if values["purge"]:
        store.remove(str(target))
    return 0


COMMAND = Command(
    "manifest push",
    "manifest push [OPTIONS] MANIFEST_LIST",
    "Push a manifest list to a repository",
    run,
    _FLAGS,
    minimum=1,
    maximum=1,
)
