# SPDX-License-Identifier: Apache-2.0
"""The `hold` command: argv to request to terminal. Imports nothing at package level, to start fast."""
