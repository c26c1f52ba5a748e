# SPDX-License-Identifier: Apache-2.0
"""Sans-IO codecs: bytes in, values out; no socket, no clock, no loop."""
