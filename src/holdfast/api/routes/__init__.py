# SPDX-License-Identifier: Apache-2.0
"""One module per REST noun, each with `routes(packages) -> list[Route]`; `daemon.wiring` names them all."""
