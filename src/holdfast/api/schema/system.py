# SPDX-License-Identifier: Apache-2.0
"""What older API versions show of `GET /info`. Called by `api.routes.system`. Source: dockerd 28.5, asked in each version."""

from __future__ import annotations

from typing import Any

_COMMITS = ("ContainerdCommit", "RuncCommit", "InitCommit")


def adapt_info(info: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """The newest version's answer as an older one gave it; changes its argument."""
    if version >= (1, 50):
        del info["BridgeNfIptables"], info["BridgeNfIp6tables"]
    else:
        info.pop("DiscoveredDevices", None)
    if version < (1, 49):
        del info["FirewallBackend"]
        for commit in _COMMITS:
            info[commit]["Expected"] = info[commit]["ID"]
    if version < (1, 47):
        info["RegistryConfig"].update(
            AllowNondistributableArtifactsCIDRs=None, AllowNondistributableArtifactsHostnames=None
        )
    if version < (1, 42):
        info["KernelMemory"] = False
    if version < (1, 25):
        options: list[str] = info["SecurityOptions"]
        info["SecurityOptions"] = [text.removeprefix("name=").partition(",")[0] for text in options]
    return info
