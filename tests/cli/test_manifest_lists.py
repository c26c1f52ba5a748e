# SPDX-License-Identifier: Apache-2.0
"""Manifests as text and lists on disk: what Go would write, and what becomes of damaged files."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from holdfast.cli import manifest_text
from holdfast.cli.manifest_store import Entry, ManifestStore
from holdfast.errors import InvalidArgument, NotFound

RAW = b'{"schemaVersion":2,"config":{"mediaType":"m","digest":"sha256:1","size":1},"layers":[],"annotations":{}}'
LIST = "127.0.0.1:5001/team/app:1"
IMAGE = "127.0.0.1:5001/team/app:amd64"


def entry(raw: bytes = RAW) -> Entry:
    return Entry(IMAGE, {"mediaType": manifest_text.OCI_MANIFEST, "digest": "sha256:1", "size": len(raw)}, raw)


def test_a_manifest_is_indented_and_nothing_else_of_it_changes() -> None:
    raw = b'{"a":[],"b":{ },"c":[1,2.50,{"d":"\\u003c{[,:]}\\" \xc3\xa9"}], "e" : null}'

    shown = manifest_text.indented(raw)

    assert shown == (
        '{\n\t"a": [],\n\t"b": {},\n\t"c": [\n\t\t1,\n\t\t2.50,\n\t\t{\n\t\t\t"d": "\\u003c{[,:]}\\" é"\n\t\t}\n\t],\n\t"e": null\n}'
    )
    assert json.loads(shown) == json.loads(raw)


def test_a_lists_text_escapes_as_go_does() -> None:
    descriptor = {
        "mediaType": manifest_text.OCI_MANIFEST,
        "digest": "sha256:1",
        "size": 2,
        "platform": {"os": "linux", "architecture": "arm", "variant": "", "os.version": "<1>"},
    }

    text = manifest_text.list_text([descriptor])

    assert '"os.version": "\\u003c1\\u003e"' in text
    assert "variant" not in text
    assert text.index('"architecture"') < text.index('"os"')
    assert json.loads(text)["mediaType"] == manifest_text.OCI_INDEX


@pytest.mark.parametrize(("first", "kind"), [("OCI_MANIFEST", "OCI_INDEX"), ("DOCKER_LIST", "DOCKER_LIST")])
def test_a_list_is_of_its_first_images_kind(first: str, kind: str) -> None:
    assert manifest_text.list_type([{"mediaType": getattr(manifest_text, first)}]) == getattr(manifest_text, kind)


def test_what_is_saved_comes_back_in_the_docker_clis_files(tmp_path: Path) -> None:
    store = ManifestStore(str(tmp_path))
    store.save(LIST, IMAGE, entry())

    document = json.loads((tmp_path / "127.0.0.1-5001_team_app-1" / "127.0.0.1-5001_team_app-amd64").read_text())

    assert document["Ref"] == IMAGE
    assert base64.b64decode(document["Raw"]) == RAW
    assert document["OCIManifest"] == json.loads(RAW)
    assert [found.raw for found in store.entries(LIST)] == [RAW]
    assert store.get(LIST, IMAGE).descriptor == entry().descriptor
    store.remove(LIST)
    for failing in (lambda: store.entries(LIST), lambda: store.get(LIST, IMAGE), lambda: store.remove(LIST)):
        with pytest.raises(NotFound, match="No such manifest: 127"):
            failing()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"Raw": "e30="}',
        '{"Raw": "!", "Ref": "a", "Descriptor": {"mediaType": "a", "digest": "b", "size": 1}}',
        '{"Raw": "W10=", "Ref": "a", "Descriptor": {"mediaType": "a", "digest": "b", "size": 1}}',
        '{"Raw": "e30=", "Ref": "a", "Descriptor": {"mediaType": 1, "digest": "b", "size": 1}}',
        '{"Raw": "e30=", "Ref": "a", "Descriptor": {"mediaType": "a", "digest": "b", "size": "1"}}',
        '{"Raw": "e30=", "Ref": "a", "Descriptor": {"mediaType": "a", "digest": "b", "size": 1, "platform": []}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    store = ManifestStore(str(tmp_path))
    store.save(LIST, IMAGE, entry())
    path = tmp_path / "127.0.0.1-5001_team_app-1" / "127.0.0.1-5001_team_app-amd64"
    path.write_text(damage)

    with pytest.raises(InvalidArgument, match=f"cannot read {path}: create the manifest list again"):
        store.entries(LIST)
