# SPDX-License-Identifier: Apache-2.0
"""The local driver's options (type, device, o) as a mount(2): what is asked, what is wrong, how a failure is told.

Pure. Called by `drivers.local`. Source: mount(8) for the words, moby 28 `volume/local`; texts of dockerd 28.5.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

from holdfast.errors import InvalidArgument
from holdfast.kernel import mount

_KNOWN = ("type", "o", "device", "size")
_NEEDS = {"type": ("device",), "device": ("type",), "o": ("type", "device")}

_FLAGS: dict[str, tuple[bool, int]] = {
    "ro": (True, mount.MS_RDONLY),
    "rw": (False, mount.MS_RDONLY),
    "nosuid": (True, mount.MS_NOSUID),
    "suid": (False, mount.MS_NOSUID),
    "nodev": (True, mount.MS_NODEV),
    "dev": (False, mount.MS_NODEV),
    "noexec": (True, mount.MS_NOEXEC),
    "exec": (False, mount.MS_NOEXEC),
    "sync": (True, mount.MS_SYNCHRONOUS),
    "async": (False, mount.MS_SYNCHRONOUS),
    "dirsync": (True, mount.MS_DIRSYNC),
    "mand": (True, mount.MS_MANDLOCK),
    "nomand": (False, mount.MS_MANDLOCK),
    "noatime": (True, mount.MS_NOATIME),
    "atime": (False, mount.MS_NOATIME),
    "nodiratime": (True, mount.MS_NODIRATIME),
    "diratime": (False, mount.MS_NODIRATIME),
    "relatime": (True, mount.MS_RELATIME),
    "norelatime": (False, mount.MS_RELATIME),
    "strictatime": (True, mount.MS_STRICTATIME),
    "nostrictatime": (False, mount.MS_STRICTATIME),
    "bind": (True, mount.MS_BIND),
    "rbind": (True, mount.MS_BIND | mount.MS_REC),
    "defaults": (False, 0),
    "private": (True, mount.MS_PRIVATE),
    "rprivate": (True, mount.MS_PRIVATE | mount.MS_REC),
    "shared": (True, mount.MS_SHARED),
    "rshared": (True, mount.MS_SHARED | mount.MS_REC),
    "slave": (True, mount.MS_SLAVE),
    "rslave": (True, mount.MS_SLAVE | mount.MS_REC),
    "unbindable": (True, mount.MS_UNBINDABLE),
    "runbindable": (True, mount.MS_UNBINDABLE | mount.MS_REC),
}
_ADDRESS = re.compile(r"(?:^|(?<=,))addr=([^,]*)")
_SHARE_HOST = re.compile(r"(?<=^//)[^/]*")
_SECRET = re.compile(r"((?:^|,)(?:password|pass)=)[^,]*")
_NETWORK_TYPES = ("nfs", "nfs4", "cifs", "smb3")
_SHARE_TYPES = ("cifs", "smb3")
PROPAGATION = mount.MS_PRIVATE | mount.MS_SHARED | mount.MS_SLAVE | mount.MS_UNBINDABLE


class MountPlan(NamedTuple):
    """What mount(2) takes; `address` is a host's name in `data`, or else in `source`, that has to be looked up first."""

    source: str
    fstype: str
    flags: int
    data: str
    address: str = ""

    @property
    def is_bind(self) -> bool:
        """True when it shows a directory of the host."""
        return bool(self.flags & mount.MS_BIND)

    def resolved(self, address: str) -> MountPlan:
        """The plan with the host's address in place of its name."""
        if _ADDRESS.search(self.data):
            return self._replace(data=_ADDRESS.sub(f"addr={address}", self.data, count=1), address="")
        shown = f"[{address}]" if ":" in address else address
        return self._replace(source=_SHARE_HOST.sub(shown, self.source, count=1), address="")


def check(name: str, options: Mapping[str, str]) -> None:
    """Raises InvalidArgument for options that no mount can be made of."""
    for option in options:
        if option not in _KNOWN:
            raise InvalidArgument(f'create {name}: invalid option: "{option}"')
    if "size" in options:
        raise InvalidArgument(f"create {name}: quota size requested but no quota support")
    for option, needed in _NEEDS.items():
        for other in needed if option in options else ():
            if not (options.get(other) or (other in options and not asks_for_mount(options))):
                raise InvalidArgument(f'create {name}: missing required option: "{other}"')
    if options.get("type") in _SHARE_TYPES and re.match(r"//[^/]*:\d+(/|$)", options["device"]):
        raise InvalidArgument(f"create {name}: port not allowed in CIFS device URL, include 'port' in 'o='")
    if asks_for_mount(options) and plan(options).is_bind and not posixpath.isabs(options["device"]):
        raise InvalidArgument(f'create {name}: invalid mount config: "{options["device"]}" is not an absolute path')


def asks_for_mount(options: Mapping[str, str]) -> bool:
    """Empty words, as Compose makes of unset variables, ask for none."""
    return any(options.get(option) for option in ("type", "device"))


def plan(options: Mapping[str, str]) -> MountPlan:
    """The mount that checked options ask for."""
    flags = 0
    data: list[str] = []
    for word in filter(None, options.get("o", "").split(",")):
        known = _FLAGS.get(word)
        if known is None:
            data.append(word)
        elif known[0]:
            flags |= known[1]
        else:
            flags &= ~known[1]
    joined = ",".join(data)
    fstype, device = options.get("type", ""), options.get("device", "")
    host = _host(fstype, device, joined)
    return MountPlan(device, fstype, flags, joined, "" if _is_address(host) else host)


def failure(plan: MountPlan, mountpoint: str, reason: str) -> str:
    """The text for a mount that failed; passwords are covered."""
    text = f"mount {plan.source}:{mountpoint}"
    if plan.flags:
        text += f", flags: {plan.flags:#x}"
    if plan.data:
        text += ", data: " + _SECRET.sub(r"\g<1>********", plan.data)
    return f"error while mounting volume '{mountpoint}': failed to mount local volume: {text}: {reason}"


def _host(fstype: str, device: str, data: str) -> str:
    """The server as the options name it: `addr=`, else the one of a share's name; empty when there is none."""
    if fstype in _NETWORK_TYPES and (found := _ADDRESS.search(data)):
        return found[1]
    if fstype in _SHARE_TYPES and (found := _SHARE_HOST.search(device)):
        return found[0]
    return ""


def _is_address(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text) is not None or ":" in text
