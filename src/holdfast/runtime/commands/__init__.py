# SPDX-License-Identifier: Apache-2.0
"""One module per verb of `hold-runc`: `FLAGS`, `USAGE` and `run(context, arguments) -> exit code`."""
