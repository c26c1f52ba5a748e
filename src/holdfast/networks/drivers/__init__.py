# SPDX-License-Identifier: Apache-2.0
"""The network drivers; only `networks.factory` names them."""
