# SPDX-License-Identifier: Apache-2.0
"""Image documents: manifest, index and config as checked values, and their decoding from untrusted bytes.

The raw bytes stay the truth (digests are of them); these values are what the rest of the house reads.
A document that could be read as two kinds is refused (CVE-2021-41190).
Source: OCI image-spec v1.1 §manifest §image-index §config; Docker's additional config members.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.oci import media, strict
from holdfast.oci import platform as platforms
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """Docker's health check; durations in nanoseconds."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The `config` member: what a container started from the image gets unless the user says otherwise."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] = ()


class RootFS(msgspec.Struct, frozen=True):
    """The layers' diff ids, base first."""

    type: str = "layers"
    diff_ids: tuple[Digest, ...] = ()


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one layer, or one change of the config alone, came to be."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The image config; its digest is the image's id."""

    created: str = ""
    author: str = ""
    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")
    config: RunConfig = RunConfig()
    rootfs: RootFS = RootFS()
    history: tuple[History, ...] = ()
    comment: str = ""
    container: str = ""
    docker_version: str = ""
    parent: str = ""

    @property
    def platform(self) -> Platform:
        """What the image says that it runs on."""
        return Platform(self.os, self.architecture, self.variant, self.os_version, self.os_features)


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """One image: its config and its layers, base first."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Several manifests, usually one for each platform."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


def decode_config(data: bytes) -> ImageConfig:
    """Parses an image config; raises InvalidArgument. Whoever reads one from outside bounds it first."""
    return strict.decode(data, ImageConfig, "image config", max_bytes=strict.STORED_MAX_BYTES)


def decode(data: bytes, media_type: str = "") -> Manifest | Index:
    """Parses a manifest or an index; `media_type` is what the transport or the descriptor promised.

    Raises InvalidArgument when the document contradicts the promise or itself, or is of schema 1; one whose media type
    is known may leave its schema out, as with Docker. Whoever reads one from outside bounds it first.
    """
    document = strict.document(data, "manifest", max_bytes=strict.STORED_MAX_BYTES)
    if not isinstance(document, dict):
        raise InvalidArgument("invalid manifest: expected an object")
    members = cast("dict[str, Any]", document)
    declared = members.get("mediaType") or media_type
    if not isinstance(declared, str):
        raise InvalidArgument("invalid manifest: mediaType is not a string")
    if media_type and declared != media_type:
        raise InvalidArgument(f"manifest says it is {declared!r} but was announced as {media_type!r}")
    if ("layers" in members or "config" in members) and "manifests" in members:
        raise InvalidArgument("ambiguous manifest: it has both layers and manifests")
    if members.get("schemaVersion") == 1 or "fsLayers" in members:
        raise InvalidArgument(
            "manifest schema version 1 is no longer supported: push the image again with a newer client"
        )
    is_told = declared in media.INDEXES or declared in media.MANIFESTS
    if members.get("schemaVersion") != 2 and not (is_told and members.setdefault("schemaVersion", 0) == 0):
        raise InvalidArgument("invalid manifest: schemaVersion is not 2")
    if declared in media.INDEXES or (declared not in media.MANIFESTS and "manifests" in members):
        if "manifests" not in members:
            raise InvalidArgument("invalid index: it has no manifests")
        return strict.convert(members, Index, "index")
    return strict.convert(members, Manifest, "manifest")


def choose(index: Index, wanted: Platform) -> Descriptor | None:
    """The manifest that fits the platform best, the first among equals; None when none does.

    Entries without a platform fit only when no entry names one; attestations (`unknown/unknown`) never fit.
    """
    best: tuple[int, Descriptor] | None = None
    for descriptor in index.manifests:
        if descriptor.platform is None or descriptor.media_type in media.INDEXES:
            continue
        rank = platforms.rank(wanted, descriptor.platform)
        if rank is not None and (best is None or rank < best[0]):
            best = (rank, descriptor)
    if best is not None:
        return best[1]
    if all(descriptor.platform is None for descriptor in index.manifests) and index.manifests:
        return index.manifests[0]
    return None
