# SPDX-License-Identifier: Apache-2.0
"""Containers: attach, logs, wait: what answers now and ends later. Part of `api.routes.containers`.

Source: Engine API v1.51 ContainerAttach, ContainerLogs, ContainerWait; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import msgspec

from holdfast.api import attach_websocket as websockets
from holdfast.api.http import Hijack, HijackedConnection, Raw, Request, Response, Stream
from holdfast.api.router import Handler, Route
from holdfast.containers import Container, detach_keys
from holdfast.engine import moments
from holdfast.engine.jobs import attach as attach_job
from holdfast.engine.jobs.logs import logs as logs_job
from holdfast.engine.jobs.wait import wait as wait_job
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.logs.selection import Selection
from holdfast.wire import frames

_CHOOSES_STREAMS_SINCE = (1, 42)
"""Older clients get all streams on a websocket, whatever they ask for."""


def routes(packages: Packages) -> list[Route]:
    """The routes of this part of the noun."""
    containers = packages.containers

    async def wait(request: Request) -> Response:
        future = wait_job(
            containers=containers, reference=request.params["id"], condition=request.query.text("condition")
        )
        return Stream(_one_exit(future))

    async def logs(request: Request) -> Response:
        query = request.query
        if not query.boolean("stdout") and not query.boolean("stderr"):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        container = containers.find(request.params["id"])
        now = time.time_ns()
        selection = Selection(
            stdout=query.boolean("stdout"),
            stderr=query.boolean("stderr"),
            since=_moment(query.text("since"), now),
            until=_moment(query.text("until"), now),
            timestamps=query.boolean("timestamps"),
            details=query.boolean("details"),
        )
        chunks = logs_job(
            packages=packages,
            container=container,
            selection=selection,
            tail=_tail(query.text("tail")),
            follow=query.boolean("follow"),
        )
        return Stream(chunks, request.stream_content_type(container.record.config.tty))

    return [
        Route("POST", "/containers/{id...}/wait", wait),
        Route("GET", "/containers/{id...}/logs", logs),
        *_attachments(packages),
    ]


def _attachments(packages: Packages) -> list[Route]:
    """A client's streams, beside others', over a connection taken over or a websocket."""
    containers = packages.containers

    async def attach(request: Request) -> Response:
        try:
            return open_streams(request)
        except HoldfastError as error:  # dockerd has taken the connection over by now, and writes plain text
            return Raw(f"{error.message}\r\n".encode(), "application/vnd.docker.raw-stream", error.http_status)

    def open_streams(request: Request) -> Response:
        query = request.query
        container = containers.find(request.params["id"])
        attach_job.check(container)
        wish = attach_job.Wish(
            stdin=query.boolean("stdin"),
            stdout=query.boolean("stdout"),
            stderr=query.boolean("stderr"),
            keys=detach_keys.parse(query.text("detachKeys")),
        )
        wants_stream, wants_logs = query.boolean("stream"), query.boolean("logs")

        async def serve(connection: HijackedConnection) -> None:
            if wants_logs:
                selection = Selection(stdout=wish.stdout, stderr=wish.stderr)
                async for chunk in logs_job(
                    packages=packages, container=container, selection=selection, tail=None, follow=False
                ):
                    await connection.write(chunk)
            if not wants_stream:
                return
            sock, pending = connection.give_away()
            await attach_job.attach(packages=packages, container=container, wish=wish, sock=sock, pending=pending)

        return Hijack(serve, request.stream_content_type(container.record.config.tty))

    return [
        Route("POST", "/containers/{id...}/attach", attach),
        Route("GET", "/containers/{id...}/attach/ws", _websocket(packages)),
    ]


def _websocket(packages: Packages) -> Handler:
    """The same over a websocket, whose frames a relay translates."""
    containers = packages.containers

    async def attach_websocket(request: Request) -> Response:
        query = request.query
        container = containers.find(request.params["id"])
        attach_job.check(container)
        chooses = request.version >= _CHOOSES_STREAMS_SINCE
        wish = attach_job.Wish(
            stdin=not chooses or query.boolean("stdin"),
            stdout=not chooses or query.boolean("stdout"),
            stderr=not chooses or query.boolean("stderr"),
            keys=detach_keys.parse(query.text("detachKeys")),
            framed=False,
        )
        accepted = websockets.handshake(request)
        wants_stream, wants_logs = query.boolean("stream"), query.boolean("logs")

        async def serve(connection: HijackedConnection) -> None:
            codec = websockets.open_socket(request)
            if wants_logs:
                async for piece in _past_output(packages, container, wish):
                    await connection.write(codec.encode(piece))
            if not wants_stream:
                await connection.write(codec.close())
                return
            ours, theirs = socket.socketpair()
            await attach_job.attach(packages=packages, container=container, wish=wish, sock=theirs, pending=b"")
            await websockets.relay(connection, codec, ours)

        return Hijack(serve, headers=accepted, protocol="websocket")

    return attach_websocket


def terminal_size(request: Request) -> tuple[int, int]:
    """h and w; InvalidArgument in Docker's words."""
    values: list[int] = []
    for name, word in (("h", "height"), ("w", "width")):
        text = request.query.text(name)
        digits = text[1:] if text[:1] in ("-", "+") else text
        if not (digits.isascii() and digits.isdigit()):
            raise InvalidArgument(f'invalid resize {word} "{text}": invalid syntax')
        if len(digits) > 10 or not 0 <= int(text) <= 65535:
            raise InvalidArgument(f'invalid resize {word} "{text}": value out of range')
        values.append(int(text))
    return values[0], values[1]


async def _past_output(packages: Packages, container: Container, wish: attach_job.Wish) -> AsyncIterator[bytes]:
    """What the log has so far, without frames."""
    selection = Selection(stdout=wish.stdout, stderr=wish.stderr)
    chunks = logs_job(packages=packages, container=container, selection=selection, tail=None, follow=False)
    demultiplexer = None if container.record.config.tty else frames.Demultiplexer()
    async for chunk in chunks:
        for _, piece in demultiplexer.feed(chunk) if demultiplexer else [(frames.STDOUT, chunk)]:
            yield piece


async def _one_exit(future: asyncio.Future[tuple[int, str]]) -> AsyncIterator[bytes]:
    """One document, when the time has come."""
    try:
        code, error = await future
    finally:
        future.cancel()
    document: dict[str, object] = {"Error": {"Message": error}} if error else {}
    yield msgspec.json.encode({**document, "StatusCode": code}) + b"\n"


def _moment(text: str, now_nanos: int) -> int:
    return moments.parse_parameter(text, now_nanos) if text and text != "0" else 0


def _tail(text: str) -> int | None:
    """`all`, nothing, or what is no number: everything."""
    return int(text) if text.isascii() and text.isdigit() else None
