# SPDX-License-Identifier: Apache-2.0
"""How Docker spells the members of its JSON objects: `cpu_shares` is `CpuShares`, with its own acronyms.

Pure; given to every msgspec struct of a Docker object as `rename`. Source: Engine API v1.51 definitions.
"""

from __future__ import annotations

_IRREGULAR = {
    "container_id_file": "ContainerIDFile",
    "uts_mode": "UTSMode",
    "rw": "RW",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "device_ids": "DeviceIDs",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "link_local_ips": "LinkLocalIPs",
    "network_id": "NetworkID",
    "endpoint_id": "EndpointID",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "dns_names": "DNSNames",
    "link_local_ipv6_address": "LinkLocalIPv6Address",
    "link_local_ipv6_prefix_len": "LinkLocalIPv6PrefixLen",
    "secondary_ip_addresses": "SecondaryIPAddresses",
    "secondary_ipv6_addresses": "SecondaryIPv6Addresses",
    "sandbox_id": "SandboxID",
    "oom_killed": "OOMKilled",
    "no_copy": "NoCopy",
}


def docker_name(name: str) -> str:
    """The member's name in JSON."""
    return _IRREGULAR.get(name) or "".join(part.capitalize() for part in name.split("_"))
