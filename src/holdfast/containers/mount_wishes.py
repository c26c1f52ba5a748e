# SPDX-License-Identifier: Apache-2.0
"""Which places of a container show something of the host: `-v`, `--mount`, `--tmpfs`, the image's volumes, merged.

Pure: texts in, `MountPoint`s out; volumes are made and hosts' paths looked at by the job create. A later source of the
same destination gives way to an earlier one: volumes-from < binds < mounts, the image's last; two of the user's own for
one destination are an error. Source: moby 28 `volume/mounts`, `daemon/volumes.go`; texts seen from dockerd 28.5.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence

from holdfast.containers import id_maps
from holdfast.containers.config import Config, HostConfig, MountWish
from holdfast.containers.record import MountPoint
from holdfast.errors import InvalidArgument

_PROPAGATIONS = frozenset(("shared", "slave", "private", "rshared", "rslave", "rprivate"))
_INHERITED_MODES = _PROPAGATIONS | {"nocopy"}
"""Modes that stay those of the container that is inherited from."""
_MODES = (
    frozenset(("rw", "ro")),
    frozenset(("z", "Z")),
    frozenset(("nocopy",)),
    frozenset(("consistent", "cached", "delegated", "default")),
    _PROPAGATIONS,
    frozenset(("idmap",)),
)
"""The words of a `-v` mode; one of each kind."""
_TYPES = ("bind", "volume", "tmpfs", "image")
IF_POSSIBLE = "propagation-if-possible"
"""Among a bind's options: it takes what is mounted behind its source where that is shared, and does without elsewhere."""
_TMPFS_WISHES = frozenset(("exec", "noexec"))
# fmt: off
_TMPFS_FLAGS = frozenset((
    "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync", "remount", "mand",
    "nomand", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
    "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable", "defaults",
))
# fmt: on
_TMPFS_VALUES = frozenset(("mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "size"))


def collect(config: Config, host: HostConfig, inherited: Sequence[MountPoint], data_root: str) -> list[MountPoint]:
    """All mount points by destination; raises InvalidArgument for what cannot be."""
    found: dict[str, MountPoint] = {point.destination: point for point in inherited}
    own: set[str] = set()
    for point in [*_binds(host), *(_wish(each) for each in host.mounts or ())]:
        if point.destination in own:
            raise InvalidArgument(f"Duplicate mount point: {point.destination}")
        own.add(point.destination)
        found[point.destination] = point
        if point.type == "bind":
            _choose_propagation(point, data_root)
    for destination in _tmpfs_destinations(host.tmpfs or {}):
        if destination in own:
            raise InvalidArgument(f"Duplicate mount point: {destination}")
        own.add(destination)
        found.pop(destination, None)
    for text in config.volumes or ():
        destination = _clean(text)
        if destination == "/":
            raise InvalidArgument(f"invalid volume specification: '{text}': destination can't be '/'")
        if destination not in found and destination not in own:
            found[destination] = _anonymous(destination, host.volume_driver)
    points = [found[destination] for destination in sorted(found)]
    _refuse_own_map(points)
    return points


def _choose_propagation(point: MountPoint, data_root: str) -> None:
    """Private unless the user says otherwise.

    A bind of the data root, of what is in it or of what it is in must not hold on to what the daemon unmounts there.
    """
    inner, outer = f"{point.source.rstrip('/')}/", f"{data_root}/"
    if not (inner.startswith(outer) or outer.startswith(inner)):
        point.propagation = point.propagation or "rprivate"
    elif not point.propagation:
        point.propagation = "rslave"
        point.options.append(IF_POSSIBLE)
    elif point.propagation not in ("rslave", "rshared"):
        raise InvalidArgument(
            'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the '
            f'daemon root, daemon root: "{data_root}", bind mount source: "{point.source}", '
            f'propagation: "{point.propagation}"'
        )


def _refuse_own_map(points: Iterable[MountPoint]) -> None:
    """A plain `idmap` means the map of the container's user namespace, which no container has: its ids are the host's."""
    for point in points:
        if point.id_map == id_maps.OWN:
            raise InvalidArgument(
                f"the mount at {point.destination} is to have the id map of the container's user namespace, but the "
                "container has none of its own: give the mount a map (idmap=uids=1000-0-1;gids=1000-0-1)"
            )


def volumes_from(text: str) -> tuple[str, str]:
    """`ID[:mode]` as (container, mode)."""
    container, _, mode = text.partition(":")
    if not container:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    if not _INHERITED_MODES.isdisjoint(_mode_words(mode)):
        raise InvalidArgument(f"invalid mode: {mode}")
    return container, mode


def inherit(points: Iterable[MountPoint], mode: str) -> list[MountPoint]:
    """Another container's mount points for this one."""
    is_writable = "ro" not in mode.split(",")
    return [
        MountPoint(
            type=point.type,
            name=point.name,
            source=point.source,
            destination=point.destination,
            driver=point.driver,
            rw=point.rw and is_writable,
            propagation=point.propagation,
            copy_up=False,
            is_anonymous=point.is_anonymous,
            subpath=point.subpath,
            id_map=point.id_map,
            options=list(point.options),
        )
        for point in points
    ]


def parse_bind(text: str, volume_driver: str = "") -> MountPoint:
    """One `-v` text: `SOURCE:DEST[:MODE]`, or `DEST` alone."""
    parts = text.split(":")
    if len(parts) > 3 or "" in parts[:2]:
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return _anonymous(_destination(parts[0], text, "volume"), volume_driver)
    is_path = parts[0].startswith("/")
    source, destination = parts[0], _destination(parts[1], text, "bind" if is_path else "volume")
    words = _mode_words(parts[2]) if len(parts) == 3 else []
    propagation = next((word for word in words if word in _PROPAGATIONS), "")
    foreign = "VolumeOptions" if is_path and "nocopy" in words else "BindOptions" if propagation and not is_path else ""
    if foreign:
        kind = "bind" if is_path else "volume"
        raise InvalidArgument(
            f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": "
            f"field {foreign} must not be specified"
        )
    return MountPoint(
        type="bind" if is_path else "volume",
        name="" if is_path else source,
        source=posixpath.normpath(source) if is_path else "",
        destination=destination,
        driver="" if is_path else volume_driver,
        mode=parts[2] if len(parts) == 3 else ("" if is_path else "z"),
        rw="ro" not in words,
        propagation=propagation,
        copy_up=not is_path and "nocopy" not in words,
        id_map=_id_map(next((word for word in words if word.startswith("idmap")), "")),
        options=["create"] if is_path else [],
    )


def tmpfs_options(text: str) -> list[str]:
    """The options of `--tmpfs DEST:options` over Docker's defaults; InvalidArgument for one that is none."""
    options = ["noexec", "nosuid", "nodev"]
    for word in filter(None, text.split(",")):
        key, equals, _ = word.partition("=")
        if (key not in _TMPFS_VALUES) if equals else (word not in _TMPFS_FLAGS):
            raise InvalidArgument(f'invalid tmpfs option "{word}"')
        opposite = word.removeprefix("no") if word.startswith("no") else f"no{word}"
        options = [each for each in options if each != opposite]
        options.append(word)
    return options


def _binds(host: HostConfig) -> list[MountPoint]:
    return [parse_bind(text, host.volume_driver) for text in host.binds or ()]


def _tmpfs_destinations(tmpfs: Mapping[str, str]) -> list[str]:
    for path, text in tmpfs.items():
        tmpfs_options(text)
        if not path.startswith("/"):
            raise InvalidArgument(f"invalid mount path: '{path}' mount path must be absolute")
    return [_destination(text, text, "tmpfs") for text in tmpfs]


def _wish(wish: MountWish) -> MountPoint:
    def wrong(text: str) -> InvalidArgument:
        return InvalidArgument(f'invalid mount config for type "{wish.type}": {text}')

    if wish.type not in _TYPES:
        raise wrong("mount type unknown")
    for kind in _TYPES:
        if getattr(wish, f"{kind}_options") is not None and kind != wish.type:
            raise InvalidArgument(f'{kind.capitalize()}Options must not be specified on mount type "{wish.type}"')
    if not wish.target:
        raise wrong("field Target must not be empty")
    if not wish.target.startswith("/"):
        raise wrong(f"invalid mount path: '{wish.target}' mount path must be absolute")
    destination = _clean(wish.target)
    if destination == "/":
        raise wrong("invalid specification: destination can't be '/'")
    if wish.type in ("tmpfs", "volume"):
        return (_tmpfs_wish if wish.type == "tmpfs" else _volume_wish)(wish, destination, wrong)
    if not wish.source:
        raise wrong("field Source must not be empty")
    return (_image_wish if wish.type == "image" else _bind_wish)(wish, destination, wrong)


def _volume_wish(wish: MountWish, destination: str, wrong: Callable[[str], InvalidArgument]) -> MountPoint:
    options = wish.volume_options
    subpath = options.subpath if options else ""
    if subpath and not wish.source:
        raise wrong("must not set Subpath when using anonymous volumes")
    if wish.read_only and not wish.source:
        raise wrong("must not set ReadOnly mode when using anonymous volumes")
    driver = options.driver_config.name if options and options.driver_config else ""
    return MountPoint(
        type="volume",
        name=wish.source,
        destination=destination,
        driver=driver,
        mode="z",
        rw=not wish.read_only,
        copy_up=not (options and options.no_copy),
        is_anonymous=not wish.source,
        subpath=_subpath(subpath, wrong),
        id_map=_id_map(wish.id_map),
    )


def _image_wish(wish: MountWish, destination: str, wrong: Callable[[str], InvalidArgument]) -> MountPoint:
    """The image's id becomes the source when it is found."""
    return MountPoint(
        type="image",
        name=wish.source,
        destination=destination,
        rw=False,
        propagation="rprivate",
        subpath=_subpath(wish.image_options.subpath if wish.image_options else "", wrong),
        id_map=_id_map(wish.id_map),
    )


def _tmpfs_wish(wish: MountWish, destination: str, wrong: Callable[[str], InvalidArgument]) -> MountPoint:
    if wish.source:
        raise wrong("field Source must not be specified")
    if wish.id_map:
        raise wrong("field IDMap must not be specified")
    words = ["noexec", "nosuid", "nodev"]
    options = wish.tmpfs_options
    for entry in (options.options if options else None) or ():
        if len(entry) != 1 or entry[0] not in _TMPFS_WISHES:
            raise wrong(f"invalid option: {'='.join(entry)}")
        words += entry
    if wish.read_only:
        words.append("ro")
    if options and not 0 <= options.mode < 1 << 32:
        raise wrong(f"field Mode must be a file mode: {options.mode}")
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    if options and options.size_bytes < 0:
        raise wrong(f"field SizeBytes must not be negative: {options.size_bytes}")
    if options and options.size_bytes:
        words.append(f"size={options.size_bytes}")
    return MountPoint(type="tmpfs", destination=destination, rw=not wish.read_only, options=words)


def _bind_wish(wish: MountWish, destination: str, wrong: Callable[[str], InvalidArgument]) -> MountPoint:
    if not wish.source.startswith("/"):
        raise wrong(f"invalid mount path: '{wish.source}' mount path must be absolute")
    options = wish.bind_options
    words: list[str] = []
    if options and options.create_mountpoint:
        words.append("create")
    if options and options.non_recursive:
        words.append("nonrecursive")
    if options and options.read_only_non_recursive:
        words.append("readonly-nonrecursive")
    if options and options.read_only_force_recursive and (options.read_only_non_recursive or not wish.read_only):
        other = "ReadOnlyNonRecursive" if options.read_only_non_recursive else "!ReadOnly"
        raise InvalidArgument(f"mount options conflict: {other} && BindOptions.ReadOnlyForceRecursive")
    if options and options.propagation and options.propagation not in _PROPAGATIONS:
        raise wrong(f"invalid propagation mode: {options.propagation}")
    return MountPoint(
        type="bind",
        source=posixpath.normpath(wish.source),
        destination=destination,
        rw=not wish.read_only,
        propagation=options.propagation if options else "",
        id_map=_id_map(wish.id_map),
        options=words,
    )


def _subpath(text: str, wrong: Callable[[str], InvalidArgument]) -> str:
    cleaned = posixpath.normpath(text)
    if text and (cleaned.startswith("/") or cleaned.partition("/")[0] == ".."):
        raise wrong("subpath must be a relative path within the volume")
    return cleaned if text and cleaned != "." else ""


def _id_map(text: str) -> str:
    """`idmap`, `idmap=MAP` of a mode, or a map alone."""
    if text == "idmap":
        return id_maps.OWN
    text = text.removeprefix("idmap=")
    if text and text != id_maps.OWN:
        id_maps.parse(text)
    return text


def _mode_words(mode: str) -> list[str]:
    words = mode.split(",") if mode else []
    left = list(_MODES)
    for word in words:
        kind = next((kind for kind in left if word.partition("=")[0] in kind), None)
        if kind is None or ("=" in word and not word.startswith("idmap=")):
            raise InvalidArgument(f"invalid mode: {mode}")
        left.remove(kind)
    return words


def _destination(path: str, text: str, kind: str) -> str:
    prefix = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": "
    if not path.startswith("/"):
        raise InvalidArgument(f"{prefix}invalid mount path: '{path}' mount path must be absolute")
    cleaned = _clean(path)
    if cleaned == "/":
        raise InvalidArgument(f"{prefix}invalid specification: destination can't be '/'")
    return cleaned


def _anonymous(destination: str, driver: str) -> MountPoint:
    return MountPoint(type="volume", destination=destination, driver=driver, copy_up=True, is_anonymous=True)


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
