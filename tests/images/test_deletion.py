# SPDX-License-Identifier: Apache-2.0
"""The rules of rmi, in Docker's words."""

import pytest

from holdfast.errors import Conflict
from holdfast.images.deletion import Plan, plan_delete
from holdfast.images.image import ContainerUse
from holdfast.oci import digest, reference

IMAGE = digest.of(b"image")
SHORT = digest.short(IMAGE)
PIN = digest.of(b"manifest")
A = "docker.io/library/a:1"
RUNNING = ContainerUse("r" * 64, IMAGE, True)
STOPPED = ContainerUse("s" * 64, IMAGE, False)


def plan(
    name: str,
    *names: str,
    force: bool = False,
    containers: tuple[ContainerUse, ...] = (),
    has_children: bool = False,
) -> Plan:
    references = [reference.parse(text) for text in names]
    return plan_delete(name, IMAGE, references, force=force, containers=containers, has_children=has_children)


@pytest.mark.parametrize("name", [IMAGE, IMAGE[7:], SHORT, IMAGE[:12]])
def test_an_id_takes_its_only_name_along(name: str) -> None:
    assert plan(name, "a:1") == Plan((A,), True)
    assert plan(name) == Plan((), True)
    assert plan(name, "a:1", f"a@{PIN}") == Plan((A, f"docker.io/library/a@{PIN}"), True)


def test_an_id_with_several_names_must_be_forced() -> None:
    with pytest.raises(Conflict) as caught:
        plan(SHORT, "a:1", "b:1")

    assert caught.value.message == (
        f"conflict: unable to delete {SHORT} (must be forced) - image is referenced in multiple repositories"
    )
    assert plan(SHORT, "a:1", "b:1", force=True).deletes_image


def test_one_name_of_several_is_only_untagged() -> None:
    assert plan("a:1", "a:1", "b:1") == Plan((A,), False)
    assert plan("a:1", "a:1", "b:1", containers=(RUNNING,)) == Plan((A,), False)


def test_the_last_tag_of_a_repository_takes_its_digests_along() -> None:
    pin = f"docker.io/library/a@{PIN}"

    assert plan("a:1", "a:1", f"a@{PIN}") == Plan((A, pin), True)
    assert plan("a:1", "a:1", f"a@{PIN}", "b:1") == Plan((A, pin), False)
    assert plan("a:1", "a:1", "a:2", f"a@{PIN}") == Plan((A,), False)


@pytest.mark.parametrize("use", [RUNNING, STOPPED])
def test_a_name_in_use_must_be_forced(use: ContainerUse) -> None:
    with pytest.raises(Conflict) as caught:
        plan("a:1", "a:1", containers=(use,))

    assert caught.value.message == (
        f'conflict: unable to remove repository reference "a:1" (must force) - '
        f"container {use.container_id[:12]} is using its referenced image {SHORT}"
    )


def test_a_running_container_cannot_be_forced_away() -> None:
    for name in ("a:1", SHORT):
        with pytest.raises(Conflict) as caught:
            plan(name, "a:1", containers=(RUNNING,), force=True)

        assert caught.value.message == (
            f"conflict: unable to delete {SHORT} (cannot be forced) - image is being used by running container rrrrrrrrrrrr"
        )


def test_a_stopped_container_must_be_forced_away() -> None:
    with pytest.raises(Conflict) as caught:
        plan(SHORT, "a:1", containers=(STOPPED,))

    assert caught.value.message == (
        f"conflict: unable to delete {SHORT} (must be forced) - image is being used by stopped container ssssssssssss"
    )
    assert plan(SHORT, "a:1", containers=(STOPPED,), force=True) == Plan((A,), True)
    assert plan("a:1", "a:1", containers=(STOPPED,), force=True) == Plan((A,), True)


def test_children_cannot_be_orphaned() -> None:
    for name in ("a:1", SHORT):
        with pytest.raises(Conflict, match="image has dependent child images"):
            plan(name, "a:1", has_children=True, force=True)


def test_containers_of_other_images_do_not_matter() -> None:
    assert plan("a:1", "a:1", containers=(ContainerUse("x", digest.of(b"other"), True),)).deletes_image
