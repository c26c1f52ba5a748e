# SPDX-License-Identifier: Apache-2.0
"""`hold manifest annotate`: say what an image of a list runs on."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import manifest_registry, manifest_text
from holdfast.cli.flags import Command, Flag, Values
from holdfast.cli.manifest_store import ManifestStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session
    from holdfast.oci.reference import Reference

_FLAGS = (
    Flag("arch", "", "string", "Set architecture"),
    Flag("os", "", "string", "Set operating system"),
    Flag("os-features", "", "list", "Set operating system feature", placeholder="strings"),
    Flag("os-version", "", "string", "Set operating system version"),
    Flag("variant", "", "string", "Set architecture variant"),
)
_MEMBERS = {"os": "os", "arch": "architecture", "variant": "variant", "os-version": "os.version"}
_ARCHITECTURES = {
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 mips64 mips64le ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "windows": "386 amd64",
}


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Changes the entry of one image."""
    target = _parse(arguments[0], "manifest list")
    image = _parse(arguments[1], "manifest")
    store = ManifestStore()
    try:
        entry = store.get(str(target), str(image))
    except errors.NotFound:
        raise errors.NotFound(f"manifest for image {arguments[1]} does not exist in {arguments[0]}") from None
    platform = entry.platform
    for flag, member in _MEMBERS.items():
        if values[flag]:
            platform[member] = values[flag]
    features = [feature for text in values["os-features"] for feature in text.split(",")]
    if features:
        platform["os.features"] = list(dict.fromkeys([*platform.get("os.features", []), *features]))
    if platform.get("architecture", "") not in _ARCHITECTURES.get(platform.get("os", ""), "").split():
        wish = f"{values['os']}/{values['arch']}"
        raise errors.InvalidArgument(f"manifest entry for image has unsupported os/arch combination: {wish}")
    entry.descriptor["platform"] = manifest_text.ordered(platform)
    store.save(str(target), str(image), entry)
    return 0


def _parse(text: str, what: str) -> Reference:
    try:
        return manifest_registry.parse(text)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"annotate: error parsing name for {what} {text}: {error.message}") from None


COMMAND = Command(
    "manifest annotate",
    "manifest annotate [OPTIONS] MANIFEST_LIST MANIFEST",
    "Add additional information to a local image manifest",
    run,
    _FLAGS,
    minimum=2,
    maximum=2,
)
