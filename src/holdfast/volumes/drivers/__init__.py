# SPDX-License-Identifier: Apache-2.0
"""The volume drivers; only `volumes.factory` imports them."""
