# SPDX-License-Identifier: Apache-2.0
"""Holdfast: a container platform in Python that speaks Docker's language.

`holdfast.connect()` is the library's front door. It is loaded on first use: every part of the platform imports this package,
and the start-up of the smallest of them must not pay for the library.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.client.library import Container, Engine, Options, Result, connect
    from holdfast.client.networks import Network, NetworkOptions

__all__ = ["Container", "Engine", "Network", "NetworkOptions", "Options", "Result", "connect"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from holdfast.client import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
