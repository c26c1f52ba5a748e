# SPDX-License-Identifier: Apache-2.0
"""Networks: which container reaches whom, under which address, through which published ports."""

from holdfast.networks.controller import Controller, Member
from holdfast.networks.journal import Sandbox
from holdfast.networks.network import Network
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
    "PortBinding",
    "Sandbox",
]
