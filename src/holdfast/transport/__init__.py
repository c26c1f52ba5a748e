# SPDX-License-Identifier: Apache-2.0
"""Asyncio listeners and connections: unix, tcp and TLS, all with half-close and a way to give the socket away."""
