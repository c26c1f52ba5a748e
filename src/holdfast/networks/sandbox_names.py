# SPDX-License-Identifier: Apache-2.0
"""From a sandbox to what a resolver is told of it. Pure; called by the controller and `sandboxes`.

Apart from `names`, which the resolver's own process imports and which must stay light.
"""

from __future__ import annotations

from holdfast.networks import gateways
from holdfast.networks.journal import Sandbox
from holdfast.networks.names import Place, SandboxNames, Upstream
from holdfast.networks.values import Endpoint


def names_of(found: Sandbox) -> SandboxNames:
    """What a resolver is told of a sandbox: its places in networks with names."""
    ranked = gateways.rank(found.endpoints)
    return SandboxNames(
        sandbox_id=found.sandbox_id,
        container_id=found.container_id,
        container_name=found.name,
        netns_path=found.netns_path,
        places=tuple([_place(endpoint) for endpoint in ranked if endpoint.has_names]),
        upstreams=tuple([Upstream(address=address, in_host=False) for address in found.nameservers]),
        keeps_single_labels=found.keeps_single_labels,
        can_forward=not all(endpoint.is_internal for endpoint in ranked),
    )


def _place(endpoint: Endpoint) -> Place:
    return Place(
        network_id=endpoint.network_id,
        network_name=endpoint.network_name,
        names=endpoint.dns_names,
        ipv4=(endpoint.ip_address,) if endpoint.ip_address else (),
        ipv6=(endpoint.ipv6_address,) if endpoint.ipv6_address else (),
        links=endpoint.links,
    )
