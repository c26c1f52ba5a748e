# SPDX-License-Identifier: Apache-2.0
"""An OCI distribution server over a content store: `hold registry serve`. `registry.main` is its program."""
