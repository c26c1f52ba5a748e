# SPDX-License-Identifier: Apache-2.0
"""What removing an image by a name or an id means: which names go, whether the image goes, and what forbids it. Pure.

Docker's rules and words. A name only loses the image its name while others remain; an id stands for the image itself.
Source: Engine API v1.47 ImageDelete; behaviour of dockerd 28.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import Conflict
from holdfast.images import naming
from holdfast.oci import digest as digests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.images.image import ContainerUse
    from holdfast.oci.digest import Digest
    from holdfast.oci.reference import Reference


class Plan(NamedTuple):
    """The keys of the names to remove, in order, and whether the image itself is to be deleted."""

    untag: tuple[str, ...]
    deletes_image: bool


def plan_delete(
    name: str,
    image: Digest,
    names: Sequence[Reference],
    *,
    force: bool,
    containers: Sequence[ContainerUse],
    has_children: bool,
) -> Plan:
    """What to do for `rmi name`; `names` are all of the image's names, `name` is what the user wrote."""
    users = [use for use in containers if use.image_id == image]
    if naming.is_id_prefix(name, image):
        return _by_id(image, names, force=force, users=users, has_children=has_children)
    return _by_name(name, image, names, force=force, users=users, has_children=has_children)


def check_conflicts(image: Digest, *, force: bool, users: Sequence[ContainerUse], has_children: bool) -> None:
    """Raises Conflict when something stands on the image; force overrides stopped containers only."""
    if has_children:
        raise _conflict(image, "cannot be forced", "image has dependent child images")
    running = next((use for use in users if use.is_running), None)
    if running is not None:
        short = running.container_id[:12]
        raise _conflict(image, "cannot be forced", f"image is being used by running container {short}")
    if users and not force:
        short = users[0].container_id[:12]
        raise _conflict(image, "must be forced", f"image is being used by stopped container {short}")


def _by_name(
    name: str,
    image: Digest,
    names: Sequence[Reference],
    *,
    force: bool,
    users: Sequence[ContainerUse],
    has_children: bool,
) -> Plan:
    if not force and users and _is_single(names):
        raise Conflict(
            f'conflict: unable to remove repository reference "{name}" (must force) - '
            f"container {users[0].container_id[:12]} is using its referenced image {digests.short(image)}"
        )
    key = naming.key_of(naming.references.parse(name))
    given = next(reference for reference in names if naming.key_of(reference) == key)
    gone = [given]
    others = [reference for reference in names if reference != given]
    if given.digest is None and not any(o.digest is None and o.name == given.name for o in others):
        gone += [other for other in others if other.digest is not None and other.name == given.name]
    keys = tuple(naming.key_of(reference) for reference in gone)
    if len(gone) < len(names):
        return Plan(keys, False)
    check_conflicts(image, force=force, users=users, has_children=has_children)
    return Plan(keys, True)


def _by_id(
    image: Digest, names: Sequence[Reference], *, force: bool, users: Sequence[ContainerUse], has_children: bool
) -> Plan:
    check_conflicts(image, force=True, users=users, has_children=has_children)
    if not force and not _is_single(names):
        raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
    check_conflicts(image, force=force, users=users, has_children=has_children)
    return Plan(tuple(naming.key_of(reference) for reference in names), True)


def _is_single(names: Sequence[Reference]) -> bool:
    """Tells whether all names come to one: at most one tag, and digests of that tag's repository only."""
    if len(names) <= 1:
        return True
    tags = [reference for reference in names if reference.digest is None]
    if len(tags) > 1:
        return False
    repository = (tags or names)[0].name
    return all(reference.name == repository for reference in names)


def _conflict(image: Digest, force: str, reason: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {digests.short(image)} ({force}) - {reason}")
