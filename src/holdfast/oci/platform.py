# SPDX-License-Identifier: Apache-2.0
"""Platforms: `linux/arm64/v8` as a value, and which offered one a wanted one accepts.

The host's own platform is made by the caller from the machine's name (`of_machine`), so that this package stays
free of the operating system. Source: OCI image-spec v1.1 §image-index "platform"; containerd's platform
normalisation (x86_64 = amd64, aarch64 = arm64, arm64's default variant is v8, arm's is v7).
"""

from __future__ import annotations

import re

import msgspec

from holdfast.errors import InvalidArgument

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
}
_KNOWN = frozenset((
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64", "mips64le",
    "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm",
))  # fmt: skip
"""What stands alone as an architecture; after an operating system any word does."""
_KNOWN_SYSTEMS = frozenset((
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd",
    "openbsd", "plan9", "solaris", "windows", "zos",
))  # fmt: skip
"""What stands alone as an operating system."""
_SYSTEMS = {"macos": "darwin"}
_SYSTEM = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a manifest runs on; `variant` is empty where the architecture has one kind only."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def normalised(self) -> Platform:
        """The same platform in Go's spelling, default variants made explicit (arm) or implicit (arm64 v8)."""
        architecture = self.architecture.lower()
        variant = self.variant.lower()
        if architecture in _ARCHITECTURES:
            architecture, implied = _ARCHITECTURES[architecture]
            variant = variant or implied
        if architecture == "arm64" and variant in ("8", "v8"):
            variant = ""
        elif architecture == "arm":
            variant = "v" + variant.removeprefix("v") if variant else "v7"
        return Platform(self.os.lower(), architecture, variant, self.os_version, self.os_features)


def parse(text: str, machine: str) -> Platform:
    """`os[(version)]/arch[/variant]`, or one of the two alone, for which the host (of uname(2) machine) gives the other.

    Raises InvalidArgument.
    """
    if "*" in text:
        raise InvalidArgument(f'"{text[:160]}": wildcards not yet supported: invalid argument')
    first, *rest = text.split("/", 3)
    system = _SYSTEM.fullmatch(first)
    if system is None:
        raise InvalidArgument(
            f'"{first[:160]}" is an invalid OS component of "{text[:160]}": OSAndVersion specifier component must match '
            '"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$": invalid argument'
        )
    for part in rest:
        if not _PART.fullmatch(part):
            raise InvalidArgument(
                f'"{part[:160]}" is an invalid component of "{text[:160]}": platform specifier component must match '
                '"^[A-Za-z0-9_.-]+$": invalid argument'
            )
    name = system[1].lower()
    named = Platform(_SYSTEMS.get(name, name), os_version=system[2] or "")
    if len(rest) > 2:
        raise InvalidArgument(f'"{text[:160]}": cannot parse platform specifier: invalid argument')
    if rest:
        return msgspec.structs.replace(
            named, architecture=rest[0], variant=rest[1] if len(rest) == 2 else ""
        ).normalised()
    if named.os in _KNOWN_SYSTEMS:
        host = of_machine(machine)
        return msgspec.structs.replace(named, architecture=host.architecture, variant=host.variant)
    found = Platform("linux", first).normalised()
    if found.architecture not in _KNOWN:
        raise InvalidArgument(f'"{text[:160]}": unknown operating system or architecture: invalid argument')
    return found


def of_machine(machine: str) -> Platform:
    """The platform of a host whose uname(2) machine is given."""
    return Platform("linux", machine).normalised()


def rank(wanted: Platform, offered: Platform) -> int | None:
    """How well the offer fits, 0 best; None when it does not run there.

    An arm host accepts its own and older variants; amd64 variants other than the wanted one only fit a wish without
    a variant, the plain one first.
    """
    want, offer = wanted.normalised(), offered.normalised()
    if want.os != offer.os or (want.architecture and want.architecture != offer.architecture):
        return None
    if want.variant == offer.variant or not want.architecture:
        return 0
    if want.architecture == "arm":
        distance = _number(want.variant) - _number(offer.variant)
        return distance if distance > 0 else None
    if not offer.variant:
        return 1
    return 2 if not want.variant and want.architecture == "arm64" else None


def is_match(wanted: Platform, offered: Platform) -> bool:
    """Tells whether the offer runs where the wish is made."""
    return rank(wanted, offered) is not None


def _number(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isascii() and digits.isdigit() else 0
