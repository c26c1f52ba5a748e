# SPDX-License-Identifier: Apache-2.0
"""The daemon's loop: listen, build the packages, serve, and stop on a signal.

Sockets are bound before anything slow, so that clients queue instead of failing; they are answered once the containers
of the last daemon are found again. Stopping ends requests, never containers. Called by `daemon.main`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Mapping

import msgspec

from holdfast.api.facts import VERSION
from holdfast.api.policy import HostPolicy
from holdfast.api.respond import ServerHeaders
from holdfast.api.router import MAXIMUM, Router, dotted
from holdfast.api.server import Server
from holdfast.daemon import config, log, reload, tls, wiring
from holdfast.distribution import proxies
from holdfast.errors import HoldfastError
from holdfast.kernel import allocator
from holdfast.transport import listener

_LOG = logging.getLogger("holdfast.daemon")
_TRIM_SECONDS = 10.0


class _Bound(msgspec.Struct, frozen=True):
    address: listener.Address
    sockets: list[socket.socket]


def run(options: config.Config, given: Mapping[str, object]) -> int:
    """Serves until SIGTERM or SIGINT; the exit status."""
    log.set_up(options.log_level, options.log_format)
    allocator.share_arenas()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    try:
        _warn(options)
        bound = [_Bound(address, listener.bind(address, group=options.group or None)) for address in options.addresses]
        asyncio.run(_serve(options, given, bound))
    except HoldfastError as error:
        _LOG.critical("failed to start daemon: %s", error.message)
        return 1
    _remove_sockets(options)
    return 0


def _warn(options: config.Config) -> None:
    for name in options.ignored:
        _LOG.warning("option %s is accepted for dockerd's sake and has no effect", name)
    for name, old, new in proxies.overridden(options.proxies, os.environ):
        _LOG.warning("overriding existing proxy variable with value from configuration: %s=%s, now %s", name, old, new)
    for address in options.addresses:
        if address.scheme == "tcp" and options.tls is None:
            _LOG.warning("API on %s WITHOUT TLS: every local user and every program that connects is root", address)
        elif address.scheme == "tcp" and options.tls and not options.tls.verify:
            _LOG.warning("API on %s without --tlsverify: clients are not asked who they are", address)


async def _serve(options: config.Config, given: Mapping[str, object], bound: list[_Bound]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    context = tls.make_context(options.tls) if options.tls else None
    built = await wiring.build(options)
    reloader = reload.Reloader(options, given, built)
    loop.add_signal_handler(signal.SIGHUP, reloader)
    names = (*options.allowed_hosts, *(address.host for address in options.addresses if address.host))
    server = Server(
        Router(built.routes),
        ServerHeaders(dotted(MAXIMUM), f"Holdfast/{VERSION} (linux)"),
        policy=HostPolicy(names),
    )
    listeners: list[listener.Listener] = []
    for each in bound:
        listening = listener.Listener(server.serve, context if each.address.scheme == "tcp" else None)
        await listening.start(each.sockets)
        listeners.append(listening)
        _LOG.info("API listen on %s", each.address)
    gc.collect()
    gc.freeze()
    trimming = loop.create_task(_give_memory_back(server))
    _LOG.info("daemon has completed initialization, version %s", VERSION)
    await stopping.wait()
    trimming.cancel()
    _LOG.info("stopping; containers live on")
    for each in listeners:
        each.stop_accepting()
    await server.wait_quiet(reloader.options.shutdown_seconds)
    await asyncio.gather(*(each.close() for each in listeners))
    await wiring.close(built.packages)


async def _give_memory_back(server: Server) -> None:
    """What a load or a pull has needed does not stay with an idle daemon: 4 of 39 MB after one of each."""
    trimmed_at = -1
    while True:
        if trimmed_at != server.requests:
            trimmed_at = server.requests
            allocator.trim()
        await asyncio.sleep(_TRIM_SECONDS)


def _remove_sockets(options: config.Config) -> None:
    for address in options.addresses:
        if address.scheme == "unix":
            try:
                os.unlink(address.path)
            except OSError as error:
                _LOG.debug("cannot remove %s: %s", address.path, error)
