# SPDX-License-Identifier: Apache-2.0
"""The relay: one process for all published ports that no packet rule can lead to their container."""
