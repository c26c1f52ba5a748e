# SPDX-License-Identifier: Apache-2.0
"""The registries as the `hold manifest` commands see them: asked from this process, with the user's own log-ins.

The docker CLI does the same: a list needs no daemon, and is made where the user is logged in. What is asked is
`holdfast.distribution`; imported when a command needs it, because it costs more than all of the CLI.
"""

from __future__ import annotations

import sys

from holdfast.cli import manifest_text, registry_auth
from holdfast.cli.manifest_store import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from holdfast.distribution.manifest_lists import Found, ManifestLists
    from holdfast.oci.reference import Reference


def parse(text: str) -> Reference:
    """The reference that a user means; `latest` where there is neither tag nor digest."""
    _find_libraries()
    from holdfast.oci import reference

    return reference.parse(text).with_default_tag()


def fetch(reference: Reference, *, is_insecure: bool) -> Entry:
    """The image that the reference names; NotFound, and InvalidArgument for a list."""
    return entry_of(reference, _lists(reference, is_insecure).image(reference))


def look_at(reference: Reference, *, is_insecure: bool) -> Entry | list[dict[str, Any]]:
    """The image, or the descriptors of the list."""
    found = _lists(reference, is_insecure).look_at(reference)
    if isinstance(found, tuple):
        return [descriptor.to_json() for descriptor in found]
    return entry_of(reference, found)


def members(reference: Reference, descriptors: Sequence[dict[str, Any]], *, is_insecure: bool) -> list[Entry]:
    """The images of a list in the registry, with the platforms that the list gives them."""
    lists = _lists(reference, is_insecure)
    entries: list[Entry] = []
    for descriptor in descriptors:
        name = _pinned(reference, descriptor["digest"])
        entry = entry_of(name, lists.image(name))
        entry.descriptor["platform"] = manifest_text.ordered(descriptor.get("platform") or {})
        entries.append(entry)
    return entries


def push(target: Reference, entries: Sequence[Entry], data: bytes, media_type: str, *, is_insecure: bool) -> None:
    """Stores a list under its name, and shows what else had to be stored."""
    from holdfast.distribution.manifest_lists import Member
    from holdfast.oci.descriptor import Descriptor

    def told(name: Reference) -> None:
        print(f"Pushed ref {name} with digest: {name.digest}")

    wanted = [
        Member(repository=parse(entry.ref), descriptor=Descriptor.from_json(entry.descriptor), data=entry.raw)
        for entry in entries
    ]
    _lists(target, is_insecure).push(target, wanted, data, media_type, told)


def entry_of(reference: Reference, found: Found) -> Entry:
    """What the registry has, as a list keeps it."""
    descriptor = found.descriptor.to_json()
    descriptor["platform"] = manifest_text.ordered(descriptor.get("platform") or {})
    return Entry(str(reference), descriptor, found.data)


def _pinned(reference: Reference, digest: str) -> Reference:
    """The same name with a digest beside its tag, as the docker CLI shows it."""
    from holdfast.oci.digest import parse as parse_digest
    from holdfast.oci.reference import Reference as Whole

    return Whole(reference.domain, reference.path, reference.tag, parse_digest(digest))


def _find_libraries() -> None:
    """The CLI starts without the libraries of the daemon, to start quickly; what follows needs them."""
    if sys.flags.no_site:
        import site

        site.main()


def _lists(reference: Reference, is_insecure: bool) -> ManifestLists:
    from holdfast.distribution.credentials import Credentials
    from holdfast.distribution.endpoints import RegistryConfig
    from holdfast.distribution.manifest_lists import ManifestLists
    from holdfast.distribution.registries import Registries

    auth = registry_auth.ConfigFile().get(registry_auth.server_of(reference.domain))
    credentials = Credentials(
        username=auth.get("username", ""),
        password=auth.get("password", ""),
        identity_token=auth.get("identitytoken", ""),
        registry_token=auth.get("registrytoken", ""),
    )
    config = RegistryConfig(insecure=(reference.domain,) if is_insecure else ())
    return ManifestLists(Registries(config), credentials)
