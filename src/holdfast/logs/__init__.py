# SPDX-License-Identifier: Apache-2.0
"""Where a container's output is kept: drivers that write it (in the shim) and a reader (in the daemon)."""
