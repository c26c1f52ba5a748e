# SPDX-License-Identifier: Apache-2.0
"""What both ends of the resolver's conversation know; see `companions.control` for how they speak."""

VERSION = 2
SOCKET_NAME = "dns.sock"
MODULE = "holdfast.networks.dns.main"
