# SPDX-License-Identifier: Apache-2.0
"""The JSON of images and volumes for every API version; the shapes are those of dockerd 28.5."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from holdfast.api.schema import images as schema
from holdfast.api.schema import volumes as volume_schema
from holdfast.images import HistoryItem, Image, Removed
from holdfast.oci import image as documents
from holdfast.oci.digest import Digest
from holdfast.volumes import Volume

ID = Digest("sha256:" + "a" * 64)
LAYER = Digest("sha256:" + "b" * 64)
CONFIG = {"Cmd": ["nginx"], "Env": ["A=b"], "ExposedPorts": {"80/tcp": {}}, "Labels": None}


def image(tags: tuple[str, ...] = ("x:1",), pinned: tuple[str, ...] = (), **config: Any) -> Image:
    raw = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": CONFIG | config,
            "rootfs": {"type": "layers", "diff_ids": [LAYER]},
        }
    ).encode()
    return Image(
        id=ID,
        manifest=ID,
        config=documents.decode_config(raw),
        raw_config=raw,
        blobs=(),
        chain_id=LAYER,
        repo_tags=tags,
        repo_digests=pinned,
        size=42,
        parent="",
        tagged_nanos=1_700_000_000_123_000_000,
    )


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        ((1, 24), ["VirtualSize", "ContainerConfig"], []),
        ((1, 43), ["VirtualSize", "ContainerConfig"], []),
        ((1, 44), ["ContainerConfig"], ["VirtualSize"]),
        ((1, 45), [], ["VirtualSize", "ContainerConfig"]),
        ((1, 51), [], ["VirtualSize", "ContainerConfig"]),
    ],
)
def test_inspect_drops_members_as_the_api_grew(version: tuple[int, int], present: list[str], absent: list[str]) -> None:
    shown = schema.render_image(image(), version, "overlay2", ["/r/overlay2/1/diff"])

    assert all(key in shown for key in present)
    assert not any(key in shown for key in absent)


def test_the_config_is_whole_until_1_49_and_short_after() -> None:
    whole = schema.render_image(image(), (1, 49), "overlay2", [])["Config"]
    short = schema.render_image(image(), (1, 50), "overlay2", [])["Config"]

    assert isinstance(whole, dict)
    assert isinstance(short, dict)
    assert list(whole) == sorted(whole)
    assert {"AttachStdin", "Hostname", "Tty", "ExposedPorts"} < whole.keys()
    assert list(short) == [
        "Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "OnBuild", "User", "Volumes", "WorkingDir",
    ]  # fmt: skip


def test_labels_are_null_or_an_object_as_the_config_has_them() -> None:
    assert schema.render_summary(image(), (1, 51), 0, -1)["Labels"] is None
    assert schema.render_summary(image(Labels={}), (1, 51), 0, -1)["Labels"] == {}


def test_the_graph_names_the_directories_of_the_top_layer() -> None:
    shown = schema.render_image(image(), (1, 51), "overlay2", ["/r/overlay2/2/diff", "/r/overlay2/1/diff"])

    assert shown["GraphDriver"] == {
        "Data": {
            "LowerDir": "/r/overlay2/1/diff",
            "MergedDir": "/r/overlay2/2/merged",
            "UpperDir": "/r/overlay2/2/diff",
            "WorkDir": "/r/overlay2/2/work",
        },
        "Name": "overlay2",
    }
    assert shown["Metadata"] == {"LastTagTime": "2023-11-14T22:13:20.123Z"}


@pytest.mark.parametrize(
    ("version", "tags", "pinned"),
    [
        ((1, 42), ["<none>:<none>"], ["<none>@<none>"]),
        ((1, 43), [], []),
    ],
)
def test_a_nameless_image_in_a_list(version: tuple[int, int], tags: list[str], pinned: list[str]) -> None:
    shown = schema.render_summary(image(tags=()), version, 3, -1)

    assert (shown["RepoTags"], shown["RepoDigests"]) == (tags, pinned)


def test_empty_digests_are_null_until_1_42() -> None:
    assert schema.render_summary(image(), (1, 42), 0, -1)["RepoDigests"] is None
    assert schema.render_summary(image(), (1, 43), 0, -1)["RepoDigests"] == []


def test_containers_are_counted_from_1_51_on() -> None:
    assert [schema.render_summary(image(), version, 3, -1)["Containers"] for version in ((1, 50), (1, 51))] == [-1, 3]


def test_history_and_removal_lines() -> None:
    item = HistoryItem("<missing>", 7, "ADD x", (), 5, "")

    assert msgspec.json.encode(schema.render_history(item)) == (
        b'{"Comment":"","Created":7,"CreatedBy":"ADD x","Id":"<missing>","Size":5,"Tags":null}'
    )
    assert msgspec.json.encode(schema.render_removed(Removed(untagged="x:1"))) == b'{"Untagged":"x:1"}'
    assert msgspec.json.encode(schema.render_removed(Removed(deleted=ID))) == b'{"Deleted":"%s"}' % ID.encode()


def test_a_volume_is_dockers_object() -> None:
    volume = Volume(name="dv1", mountpoint="/r/volumes/dv1/_data", created_nanos=7 * 10**9, labels={"a": "b"})

    assert msgspec.json.encode(volume_schema.render(volume)) == (
        b'{"CreatedAt":"1970-01-01T00:00:07Z","Driver":"local","Labels":{"a":"b"},'
        b'"Mountpoint":"/r/volumes/dv1/_data","Name":"dv1","Options":null,"Scope":"local"}'
    )
