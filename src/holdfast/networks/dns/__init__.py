# SPDX-License-Identifier: Apache-2.0
"""The embedded DNS server: `main` is a process of its own that outlives the daemon, `client` the daemon's end of it."""
