# SPDX-License-Identifier: Apache-2.0
"""One module per command; `cli.directory` says which module a command's words lead to."""
