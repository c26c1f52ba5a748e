# SPDX-License-Identifier: Apache-2.0
"""Manifest lists that are being made: one folder per list, one file per image in it, below the docker CLI's configuration.

The files are the docker CLI's own, so that a list begun with `docker manifest create` can be pushed with `hold` and the
other way round. Standard library only. Called by the `hold manifest` commands.
Source: docker CLI 28.2 (cli/manifest/store).
"""

from __future__ import annotations

import os

from holdfast import errors
from holdfast.client import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IMAGE_KEYS = {"application/vnd.docker.distribution.manifest.v2+json": "SchemaV2Manifest"}
_OCI_KEY = "OCIManifest"
_DESCRIPTOR: dict[str, Any] = {"mediaType": "", "digest": "", "size": 0, "platform": {}}


class Entry:
    """One image of a list; `descriptor` is a JSON object, `raw` are the manifest's own bytes."""

    __slots__ = ("descriptor", "raw", "ref")

    def __init__(self, ref: str, descriptor: dict[str, Any], raw: bytes) -> None:
        self.ref, self.descriptor, self.raw = ref, descriptor, raw

    @property
    def platform(self) -> dict[str, Any]:
        """What it runs on, to be read and changed."""
        found: dict[str, Any] | None = self.descriptor.get("platform")
        if found is None:
            found = self.descriptor["platform"] = {}
        return found

    def to_json(self) -> dict[str, Any]:
        """The entry as the docker CLI writes and shows it."""
        import base64
        import json

        key = _IMAGE_KEYS.get(self.descriptor["mediaType"], _OCI_KEY)
        text = base64.b64encode(self.raw).decode()
        return {"Ref": self.ref, "Descriptor": self.descriptor, "Raw": text, key: json.loads(self.raw)}


class ManifestStore:
    """The lists of one user. References are whole ones: `docker.io/library/alpine:3.20`."""

    def __init__(self, root: str = "") -> None:
        self._root = root or os.path.join(address.config_directory(os.environ), "manifests")

    def entries(self, name: str) -> list[Entry]:
        """The images of a list in the order of their names; NotFound."""
        folder = self._folder(name)
        try:
            files = sorted(os.listdir(folder))
        except FileNotFoundError:
            raise _not_found(name) from None
        return [self._read(os.path.join(folder, file)) for file in files]

    def has(self, name: str) -> bool:
        """Tells whether there is such a list."""
        return os.path.isdir(self._folder(name))

    def get(self, name: str, image: str) -> Entry:
        """One image of a list; NotFound."""
        path = os.path.join(self._folder(name), _file_name(image))
        if not os.path.exists(path):
            raise _not_found(image)
        return self._read(path)

    def save(self, name: str, image: str, entry: Entry) -> None:
        """Adds an image to a list, which may be new, or replaces it."""
        import json

        folder = self._folder(name)
        os.makedirs(folder, 0o755, exist_ok=True)
        path = os.path.join(folder, _file_name(image))
        partial = os.path.join(self._root, f".{os.getpid()}")
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(entry.to_json(), file, ensure_ascii=False, separators=(",", ":"))
        os.replace(partial, path)

    def remove(self, name: str) -> None:
        """Forgets a list."""
        import shutil

        if not self.has(name):
            raise _not_found(name)
        shutil.rmtree(self._folder(name))

    def _folder(self, name: str) -> str:
        return os.path.join(self._root, _file_name(name))

    def _read(self, path: str) -> Entry:
        import base64
        import json

        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
            raw = base64.b64decode(document["Raw"], validate=True)
            descriptor: dict[str, Any] = document["Descriptor"]
            if not isinstance(json.loads(raw), dict) or any(
                not isinstance(descriptor.get(member, default), type(default))
                for member, default in _DESCRIPTOR.items()
            ):
                raise ValueError("not a manifest")
            return Entry(str(document["Ref"]), descriptor, raw)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise errors.InvalidArgument(f"cannot read {path}: create the manifest list again") from None


def _file_name(reference: str) -> str:
    return reference.replace(":", "-").replace("/", "_")


def _not_found(reference: str) -> errors.NotFound:
    return errors.NotFound(f"No such manifest: {reference}")
