# SPDX-License-Identifier: Apache-2.0
"""The environment variables of a legacy link (`--link NAME:ALIAS` in the default bridge): where the other one listens,
and its own environment. Pure.

Called by `engine.container_network`. Source: moby 28 `daemon/links/links.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_ITS_OWN = ("HOME", "PATH")


def render(
    *, alias: str, own_name: str, address: str, exposed: Iterable[tuple[int, str]], environment: Sequence[str]
) -> list[str]:
    """`ALIAS_PORT_80_TCP_ADDR=…` for every exposed port, `ALIAS_NAME`, and `ALIAS_ENV_X` for every variable."""
    prefix = alias.upper().replace("-", "_")
    ports = sorted(exposed, key=lambda port: (port[1] != "tcp", port[1], port[0]))
    found = [f"{prefix}_PORT={protocol}://{address}:{port}" for port, protocol in ports[:1]]
    for port, protocol in ports:
        name = f"{prefix}_PORT_{port}_{protocol.upper()}"
        found += [
            f"{name}={protocol}://{address}:{port}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={port}",
            f"{name}_PROTO={protocol}",
        ]
    for first, last, protocol in _ranges(ports):
        name = f"{prefix}_PORT_{first}_{protocol.upper()}"
        found += [
            f"{name}_START={protocol}://{address}:{first}",
            f"{name}_PORT_START={first}",
            f"{name}_END={protocol}://{address}:{last}",
            f"{name}_PORT_END={last}",
        ]
    found.append(f"{prefix}_NAME=/{own_name}/{alias}")
    variables = [entry for entry in environment if "=" in entry and entry.partition("=")[0] not in _ITS_OWN]
    return [*found, *[f"{prefix}_ENV_{entry}" for entry in variables]]


def _ranges(ports: Sequence[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """The runs of consecutive numbers of one protocol, as (first, last, protocol); a single one is no run."""
    runs: list[tuple[int, int, str]] = []
    for port, protocol in ports:
        if runs and runs[-1][1:] == (port - 1, protocol):
            runs[-1] = (runs[-1][0], port, protocol)
        else:
            runs.append((port, port, protocol))
    return [run for run in runs if run[0] != run[1]]
