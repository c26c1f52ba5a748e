# SPDX-License-Identifier: Apache-2.0
"""One module per verb; each job is an `async def` whose arguments are exactly the packages that it uses."""
