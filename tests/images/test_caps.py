# SPDX-License-Identifier: Apache-2.0
"""Every cap on untrusted bytes: what is over it is refused with the name of the option, and raising that option lets it in."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import content, images, metadata, snapshots
from holdfast.content import compression
from holdfast.daemon import caps, config
from holdfast.errors import HoldfastError


def store_with(root: Path, *words: str) -> images.Store:
    """As `daemon.wiring` makes it."""
    options = config.load(["--config-file=/dev/null", *words])[0]
    return images.Store(
        metadata.Store(root / "metadata.db"),
        content.Store(str(root / "content")),
        snapshots.open_driver("overlay2", str(root), caps.of_archives(options)),
        limits=caps.of_streams(options),
        documents_limits=caps.of_documents(options),
    )


def large_layer(kit: Any) -> bytes:
    return kit.docker_archive(["x"], kit.tar_of({"file": bytes(100_000)}))


def many_files(kit: Any) -> bytes:
    return kit.docker_archive(["x"], kit.tar_of({f"{number}": b"" for number in range(30)}))


def expanding(kit: Any) -> bytes:
    """A layer with a long run of zeros behind its last file, which costs no disk; beyond the 256 MiB that are free."""
    layer = kit.tar_of({"file": b"x"}) + bytes(300 << 20)
    packed = compression._zstd.compress(layer)
    return kit.docker_archive(["x"], packed, config=kit.config_of(layer))


def long_header(kit: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("file")
        info.pax_headers = {"comment": "c" * 1_500_000}
        archive.addfile(info)
    return kit.docker_archive(["x"], buffer.getvalue())


def large_config(kit: Any) -> bytes:
    layer = kit.tar_of({"file": b"x"})
    return kit.docker_archive(["x"], layer, config=kit.config_of(layer, comment="c" * 9_000_000))


def large_index(kit: Any) -> bytes:
    layer = kit.tar_of({"file": b"x"})
    document = kit.config_of(layer)
    item = {"Config": "c", "RepoTags": ["x"], "Layers": ["l"], "Parent": "p" * 5_000_000}
    return kit.tar_of({"c": document, "l": layer, "manifest.json": json.dumps([item]).encode()})


@pytest.mark.parametrize(
    ("make", "before", "raised"),
    [
        (large_layer, "--max-unpacked-size=50k", "--max-unpacked-size=1m"),
        (many_files, "--max-unpacked-entries=20", "--max-unpacked-entries=40"),
        (expanding, "--max-expansion-ratio=200", "--max-expansion-ratio=100000"),
        (long_header, "--max-attributes-size=1MiB", "--max-attributes-size=2MiB"),
        (large_config, "--max-manifest-size=4MiB", "--max-manifest-size=5MiB"),
        (large_index, "--max-manifest-size=4MiB", "--max-manifest-size=5MiB"),
    ],
)
def test_a_refusal_names_the_option_that_lets_it_in(
    make: Callable[[Any], bytes], before: str, raised: str, kit: Any, tmp_path: Path
) -> None:
    archive = make(kit)
    option = before.removeprefix("--").partition("=")[0]

    with pytest.raises(HoldfastError, match=f"the daemon's option {option} allows more"):
        kit.load(store_with(tmp_path, before), archive)
    loaded, _ = kit.load(store_with(tmp_path, raised), archive)

    assert loaded == ["x:latest"]
    assert [image.damage for image in store_with(tmp_path, before).list()] == [""]  # what is in has passed
