# SPDX-License-Identifier: Apache-2.0
"""The log drivers; only `logs.factory` names them."""
