# SPDX-License-Identifier: Apache-2.0
"""The composition root of holdfastd: configuration, wiring, start, shutdown; no features."""
