# SPDX-License-Identifier: Apache-2.0
"""Companions: small processes beside the daemon that outlive it. `networks.dns` is one, `networks.relay` another."""
