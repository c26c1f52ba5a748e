# SPDX-License-Identifier: Apache-2.0
"""Which network drivers there are; the only module that names them."""

from __future__ import annotations

from holdfast.kernel import netlink
from holdfast.networks.driver import Driver
from holdfast.networks.drivers.bare import Bare
from holdfast.networks.drivers.bridge import Bridge
from holdfast.networks.drivers.child import Child
from holdfast.networks.undertaker import Undertaker


def open_drivers(links: netlink.Socket, undertaker: Undertaker) -> dict[str, Driver]:
    """Every driver by its name; `links` is a socket in the host's namespace, both stay the caller's."""
    drivers: tuple[Driver, ...] = (
        Bridge(links, undertaker),
        Bare("host", has_namespace=False),
        Child("ipvlan", links),
        Child("macvlan", links),
        Bare("null", has_namespace=True),
    )
    return {driver.name: driver for driver in drivers}
