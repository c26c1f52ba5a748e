# SPDX-License-Identifier: Apache-2.0
"""Networks: which container reaches whom, under which address, through which published ports.

Imports what it exports on demand: the resolver process (`networks.dns.main`) must not carry the controller with it.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.controller import Controller, Member
    from holdfast.networks.creation import NetworkWish
    from holdfast.networks.endpoint_plan import check_mixture
    from holdfast.networks.journal import Sandbox
    from holdfast.networks.network import Network, Pool, PoolWish
    from holdfast.networks.values import (
        Attachment,
        BoundPort,
        ConnectRequest,
        Endpoint,
        EndpointSettings,
        NetworkConfig,
        PortBinding,
    )

__all__ = [
    "Attachment",
    "BoundPort",
    "ConnectRequest",
    "Controller",
    "Endpoint",
    "EndpointSettings",
    "Member",
    "Network",
    "NetworkConfig",
    "NetworkWish",
    "Pool",
    "PoolWish",
    "PortBinding",
    "Sandbox",
    "check_mixture",
]
_HOMES = {
    "Controller": "controller",
    "Member": "controller",
    "NetworkWish": "creation",
    "check_mixture": "endpoint_plan",
    "Sandbox": "journal",
    "Network": "network",
    "Pool": "network",
    "PoolWish": "network",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'values')}"), name)
