# SPDX-License-Identifier: Apache-2.0
"""Holdfast: a container platform in Python that speaks Docker's language."""
