# SPDX-License-Identifier: Apache-2.0
"""What both ends of the relay's conversation know; see `companions.control` for how they speak.

A port has a *key* (`tcp [::]:8080`), a socket, bound by the daemon, and a *target*, the container's address and port.
Orders beside `begin` and `end`: `open` (`key`, `target`, and the socket; of a key that it has it takes the target only),
`shut` (`key`), `list` (reply: `keys`), `give` (`key`; the reply carries the socket).
"""

VERSION = 1
SOCKET_NAME = "relay.sock"
MODULE = "holdfast.networks.relay.main"
