# SPDX-License-Identifier: Apache-2.0
"""The packet rules: `shapes` says what they are, `plan` what they must hold, `tables` brings them into the kernel."""

from holdfast.networks.firewall.monitor import Monitor
from holdfast.networks.firewall.tables import Firewall, NoFirewall, OutOfStep
from holdfast.networks.firewall.values import BridgeRules, Identity, LinkRule, PortRule

__all__ = ["BridgeRules", "Firewall", "Identity", "LinkRule", "Monitor", "NoFirewall", "OutOfStep", "PortRule"]
