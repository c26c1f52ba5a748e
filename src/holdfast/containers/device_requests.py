# SPDX-License-Identifier: Apache-2.0
"""`--gpus` and CDI names: which CDI devices a container's device requests mean. Called by the job start.

There is no driver of our own: a request for capabilities (`--gpus`) is met by the CDI devices of NVIDIA where the
machine describes them, and refused in Docker's words where it does not. Source: moby 28 `daemon/devices.go`, `cdi.go`.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.containers import cdi
from holdfast.containers.config import DeviceRequest, HostConfig
from holdfast.errors import InvalidArgument

_CDI = "cdi"
_GPU = "nvidia.com/gpu"
_ALL = -1


def edits_for(host: HostConfig, directories: Sequence[str]) -> cdi.Edits | None:
    """The edits of all requests, None when there is none; InvalidArgument for one that nothing here can meet."""
    wanted: list[str] = []
    for request in host.device_requests or ():
        wanted += request.device_ids or () if request.driver == _CDI else _gpus(request, directories)
    return cdi.resolve(wanted, directories) if wanted else None


def _gpus(request: DeviceRequest, directories: Sequence[str]) -> list[str]:
    alternatives = request.capabilities or []
    known = [name for name in cdi.names(directories) if name.startswith(f"{_GPU}=")]
    is_for_gpus = any("gpu" in each for each in alternatives) and request.driver in ("", "nvidia")
    if not is_for_gpus or not known:
        kinds = " ".join(f"[{' '.join(each)}]" for each in alternatives)
        raise InvalidArgument(f'could not select device driver "{request.driver}" with capabilities: [{kinds}]')
    if request.device_ids:
        return [f"{_GPU}={name}" for name in request.device_ids]
    if request.count == _ALL and f"{_GPU}=all" in known:
        return [f"{_GPU}=all"]
    numbered = [name for name in known if name != f"{_GPU}=all"]
    return numbered if request.count == _ALL else numbered[: request.count]
