# SPDX-License-Identifier: Apache-2.0
"""Engine API client: sync, standard library only. `holdfast.connect()` is its front door."""
