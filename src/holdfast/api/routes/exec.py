# SPDX-License-Identifier: Apache-2.0
"""Execs: create, start (a hijack, or detached), inspect, resize.

Called through `daemon.wiring`. Source: Engine API v1.51 "Exec"; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

import socket

from holdfast.api.http import Empty, Hijack, HijackedConnection, Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.routes.container_streams import terminal_size
from holdfast.api.schema import containers as schema
from holdfast.containers import detach_keys
from holdfast.containers.config import console_size
from holdfast.containers.execs import Exec, ExecConfig
from holdfast.engine.jobs.exec import create_exec, require_fresh, settle_exec, start_exec
from holdfast.engine.jobs.resize import resize_exec
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.shim.client import StreamGrant
from holdfast.wire import frames


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""

    async def create(request: Request) -> Response:
        config = await request.json(ExecConfig)
        found = create_exec(packages=packages, reference=request.params["id"], config=config)
        return Json({"Id": found.id}, 201)

    async def start(request: Request) -> Response:
        body = await request.json(schema.ExecStart)
        body.console_size = console_size(body.console_size or [])
        found = require_fresh(packages, request.params["id"])
        tty = found.config.tty
        if body.detach:
            await start_exec(packages=packages, found=found, tty=tty, console_size=body.console_size, grants=[])
            return Empty(200)

        async def serve(connection: HijackedConnection) -> None:
            sock, pending = connection.give_away()
            await _run(packages, found, body, sock, pending)

        return Hijack(serve, request.stream_content_type(body.tty))

    async def inspect(request: Request) -> Response:
        found = packages.containers.execs.get(request.params["id"])
        await settle_exec(packages=packages, found=found)
        return Json(schema.render_exec(found))

    async def resize(request: Request) -> Response:
        height, width = terminal_size(request)
        await resize_exec(containers=packages.containers, exec_id=request.params["id"], height=height, width=width)
        return Empty(200)

    return [
        Route("POST", "/containers/{id...}/exec", create),
        Route("POST", "/exec/{id}/start", start),
        Route("POST", "/exec/{id}/resize", resize),
        Route("GET", "/exec/{id}/json", inspect),
    ]


async def _run(packages: Packages, found: Exec, body: schema.ExecStart, sock: socket.socket, pending: bytes) -> None:
    """Starts it on the client's own socket; what goes wrong is said there, as the head is sent.

    Whether there is a terminal was said at create; start's `Tty` says only whether the client reads frames.
    """
    config = found.config
    grant = StreamGrant(
        sock=sock,
        stdin=config.attach_stdin,
        stdout=config.attach_stdout,
        stderr=config.attach_stderr,
        framed=not body.tty,
        detach_keys=detach_keys.parse(config.detach_keys) if config.tty else b"",
        pending=pending if config.attach_stdin else b"",
        close_stdin_once=True,
    )
    try:
        await start_exec(packages=packages, found=found, tty=config.tty, console_size=body.console_size, grants=[grant])
    except HoldfastError as error:
        text = f"{error.message}\r\n".encode()
        sock.setblocking(False)
        try:
            sock.send(text if body.tty else frames.encode(frames.STDOUT, text))
        except OSError:
            return
        finally:
            sock.close()
