# SPDX-License-Identifier: Apache-2.0
"""The life of images in the store: brought in, found, named, listed, removed; and what survives a restart."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from holdfast import images
from holdfast.errors import Conflict, Corrupt, InvalidArgument, NotFound
from holdfast.images import ContainerUse, Filters, Removed, builtin
from holdfast.oci import digest, platform, reference

AMD64 = platform.of_machine("x86_64")


@pytest.fixture
def layers(kit: Any) -> tuple[bytes, bytes, bytes]:
    return kit.tar_of({"a": b"1"}), kit.tar_of({"b": b"22"}), kit.tar_of({"c": b"333"})


def image_of(store: images.Store, kit: Any, tag: str, *layers: bytes, **config: object) -> str:
    raw = kit.config_of(*layers, **config)
    kit.load(store, kit.docker_archive([tag], *layers, config=raw))
    return kit.sha(raw)


def test_an_image_is_found_by_every_kind_of_name(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image = image_of(store, kit, "app:1", *layers)

    for name in ("app:1", "docker.io/library/app:1", image, image[7:], image[7:19], image[:20]):
        assert store.get(name).id == image
    found = store.get("app:1")
    assert found.repo_tags == ("app:1",)
    assert found.size == 6
    assert found.chain_id == digest.chains([digest.of(layer) for layer in layers])[-1]
    assert found.config.config.cmd == ("sh",)
    assert store.snapshots.exists(found.chain_id)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "No such image: nosuch:latest"),
        ("nosuch:1", "No such image: nosuch:1"),
        ("app", "No such image: app:latest"),
        ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64),
        ("0" * 64, "No such image: sha256:" + "0" * 64),
        ("localhost:5000/x/y", "No such image: localhost:5000/x/y:latest"),
    ],
)
def test_a_missing_image_is_named_as_docker_names_it(
    store: images.Store, kit: Any, layers: tuple[bytes, ...], name: str, message: str
) -> None:
    image_of(store, kit, "app:1", layers[0])

    with pytest.raises(NotFound) as caught:
        store.get(name)

    assert caught.value.message == message


def test_an_ambiguous_prefix_finds_nothing(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    ids = [image_of(store, kit, f"app:{i}", layers[0], author=str(i)) for i in range(17)]
    first = next(i for i in ids if sum(other[7] == i[7] for other in ids) > 1)[7]

    with pytest.raises(NotFound, match="No such image"):
        store.get(first)


def test_a_name_that_is_none_is_refused(store: images.Store) -> None:
    with pytest.raises(InvalidArgument, match="must be lowercase"):
        store.get("Foo")


def test_everything_survives_a_restart(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image_of(store, kit, "app:1", *layers)
    store.tag("app:1", "other/name")

    again = kit.reopen(store)

    assert again.list() == store.list()
    assert again.get("other/name").repo_tags == ("app:1", "other/name:latest")


def test_a_tag_moves_from_image_to_image(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    old = image_of(store, kit, "app", layers[0])
    new = image_of(store, kit, "app", layers[1])

    assert store.get("app").id == new
    assert store.get(old).repo_tags == ()
    assert [image.id for image in store.list(Filters(dangling=True))] == [old]


def test_a_name_goes_before_the_image(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image = image_of(store, kit, "app:1", *layers)
    store.tag("app:1", "app:2")

    assert store.delete("app:1") == [Removed(untagged="app:1")]
    removed = store.delete("app:2")

    chains = digest.chains([digest.of(layer) for layer in layers])
    assert removed == [
        Removed(untagged="app:2"),
        Removed(deleted=image),
        *[Removed(deleted=chain) for chain in reversed(chains)],
    ]
    assert list(store.content.iter()) == []
    assert list(store.snapshots.iter_names()) == []
    assert kit.reopen(store).list() == []


def test_shared_layers_stay_with_the_other_image(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image_of(store, kit, "one", layers[0], layers[1])
    image_of(store, kit, "two", layers[0], layers[2])

    removed = store.delete("one")

    base, top = digest.chains([digest.of(layers[0]), digest.of(layers[1])])
    assert Removed(deleted=top) in removed
    assert Removed(deleted=base) not in removed
    assert store.snapshots.exists(base)
    assert b"".join(store.save(["two"]))


def test_layers_stay_while_a_container_stands_on_them(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image = image_of(store, kit, "app", *layers)
    chain = store.get("app").chain_id
    store.snapshots.prepare("container", chain)
    use = ContainerUse("c" * 64, image, False)

    removed = store.delete("app", force=True, containers=[use])

    assert removed == [Removed(untagged="app:latest"), Removed(deleted=image)]
    assert store.snapshots.exists(chain or "")
    store.snapshots.remove("container")
    assert len(store.collect()) == 3


def test_a_used_image_is_not_removed(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image = image_of(store, kit, "app", layers[0])
    use = ContainerUse("c" * 64, image, True)

    with pytest.raises(Conflict, match=r'unable to remove repository reference "app" \(must force\)'):
        store.delete("app", containers=[use])
    with pytest.raises(Conflict, match="cannot be forced"):
        store.delete("app", force=True, containers=[use])

    assert store.get("app").repo_tags == ("app:latest",)


def test_pulled_images_have_their_digest_as_a_name(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image_of(store, kit, "app:1", layers[0])
    manifest = store.get("app:1").manifest
    name = reference.parse("localhost:5000/team/app:9")

    assert store.register(name, top=manifest, manifest=manifest)
    assert not store.register(name, top=manifest, manifest=manifest)

    pinned = f"localhost:5000/team/app@{manifest}"
    assert store.get("localhost:5000/team/app:9").repo_digests == (pinned,)
    assert store.get(pinned).repo_tags == ("app:1", "localhost:5000/team/app:9")
    assert store.delete("localhost:5000/team/app:9") == [
        Removed(untagged="localhost:5000/team/app:9"),
        Removed(untagged=pinned),
    ]


def test_a_manifest_is_not_added_before_its_layers(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image_of(store, kit, "app", *layers)
    found = store.get("app")
    with store.content.lease() as lease:
        lease.digests.update(store.content.iter())
        store.delete("app")
        for chain in list(store.snapshots.iter_names()):
            store.snapshots.remove(chain)

        with pytest.raises(NotFound, match="not unpacked"):
            store.add(found.manifest)


def test_a_damaged_image_is_listed_and_hides_no_other(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    bad = image_of(store, kit, "bad", layers[0])
    image_of(store, kit, "good", layers[1])
    Path(store.content.path(digest.parse(bad))).write_bytes(b"{}")

    again = kit.reopen(store)

    assert {image.repo_tags: bool(image.damage) for image in again.list()} == {
        ("bad:latest",): True,
        ("good:latest",): False,
    }
    with pytest.raises(Corrupt):
        again.get("bad")
    assert again.collect() == []
    assert Removed(deleted=bad) in again.delete("bad")
    assert len(again.collect()) == 0
    assert again.get("good").id


def test_a_damaged_record_hides_no_other(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    image_of(store, kit, "good", layers[0])
    with store.metadata.transaction() as transaction:
        transaction.put("images", "sha256:" + "1" * 64, b"garbage")
        transaction.put("tags", "???", b"{}")

    again = kit.reopen(store)

    assert len(again.list()) == 1
    assert sorted(again.damaged) == ["images/sha256:" + "1" * 64, "tags/???"]


def test_history_is_told_newest_first(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    steps = [{"created_by": "one"}, {"created_by": "env", "empty_layer": True}, {"created_by": "two", "comment": "c"}]
    image = image_of(store, kit, "app", layers[0], layers[1], history=steps)

    items = store.history("app")

    assert [(i.id, i.created_by, i.size, i.tags, i.comment) for i in items] == [
        (image, "two", 2, ("app:latest",), "c"),
        ("<missing>", "env", 0, (), ""),
        ("<missing>", "one", 1, (), ""),
    ]


def test_an_import_is_an_image_of_one_layer(store: images.Store, kit: Any, layers: tuple[bytes, ...]) -> None:
    changes = ["CMD echo hi", 'ENV A=1 B="two words"']

    image = store.import_(
        io.BytesIO(layers[0]), platform=AMD64, target="imported:1", message="by hand", changes=changes
    )

    found = store.get("imported:1")
    assert found.id == image
    assert found.layers == (digest.of(layers[0]),)
    assert found.config.config.cmd == ("/bin/sh", "-c", "echo hi")
    assert found.config.config.env == ("A=1", "B=two words")
    assert found.config.history[0].comment == "by hand"


def test_a_bad_import_leaves_nothing(store: images.Store, kit: Any) -> None:
    for data, changes in ((b"not a tar" * 100, []), (kit.tar_of({"a": b""}), ["BOGUS x"])):
        with pytest.raises(InvalidArgument):
            store.import_(io.BytesIO(data), platform=AMD64, target="x", changes=changes)
    store.collect()

    assert store.list() == []
    assert list(store.snapshots.iter_keys()) == []
    assert list(store.content.iter()) == []


def test_hello_world_is_put_in_once(store: images.Store, kit: Any) -> None:
    image = builtin.ensure(store, AMD64)

    assert image is not None
    assert store.get("hello-world").id == image
    assert builtin.ensure(store, AMD64) is None
    store.delete("hello-world")
    assert builtin.ensure(kit.reopen(store), AMD64) is None


def test_hello_world_has_the_same_digest_everywhere(store: images.Store) -> None:
    for machine in ("x86_64", "aarch64"):
        first = builtin.build(store, platform.of_machine(machine))
        assert builtin.build(store, platform.of_machine(machine)) == first
    assert builtin.ensure(store, platform.of_machine("riscv64")) is None


def test_the_built_in_program_runs(store: images.Store) -> None:
    machine = os.uname().machine
    builtin.ensure(store, platform.of_machine(machine))
    program = f"{store.snapshots.layers(store.get('hello-world').chain_id or '')[0]}/hello"
    reader, writer = os.pipe()

    pid = os.posix_spawn(program, ["hello"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])
    os.close(writer)
    with open(reader, "rb") as output:
        text = output.read()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert text == builtin.TEXT


def test_a_damaged_snapshot_of_a_container_keeps_nothing_from_coming_or_going(store: images.Store, kit: Any) -> None:
    archive = kit.docker_archive(["app:1"], kit.tar_of({"a": b"one"}), kit.tar_of({"b": b"two"}))
    kit.load(store, archive)
    for number, text in enumerate([b"", b"l/", b"\xff\0garbage"]):
        store.snapshots.prepare(f"container-{number}", store.get("app:1").chain_id)
        Path(store.snapshots.root, f"container-{number}", "lower").write_bytes(text)
    Path(store.snapshots.root, "half-made").mkdir()
    reopened = kit.open_store(Path(store.snapshots.root).parent)

    assert kit.load(reopened, archive)[0] == ["app:1"]
    kit.load(reopened, kit.docker_archive(["other:1"], kit.tar_of({"c": b"three"})))
    assert len([each for each in reopened.delete("other:1") if each.deleted]) == 2
