# SPDX-License-Identifier: Apache-2.0
"""Who watches: one small process per container, the fork server that bears it, and the daemon's way to talk to it.

`protocol`, `detach` are pure; `spawner` and `main` run in processes of their own and stay light (no asyncio, no
dataclasses: the boot path); `client` is the daemon's asynchronous side and the only module that others import.
"""
