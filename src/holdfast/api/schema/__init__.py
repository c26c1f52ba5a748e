# SPDX-License-Identifier: Apache-2.0
"""JSON shapes of the Engine API, one module of msgspec structs per REST noun."""
