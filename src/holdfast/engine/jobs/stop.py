# SPDX-License-Identifier: Apache-2.0
"""`docker stop`, `docker kill`: signals, and waiting for their effect. None of them holds the container's lock.

Called by `api.routes.containers` and by restart. Source: Engine API v1.51 ContainerStop, ContainerKill.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal

from holdfast.containers import Container, signals
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError, Internal, InvalidArgument, NotFound, NotModified, Unavailable

_DEFAULT_SECONDS = 10
_KILL_SECONDS = 10.0


async def stop(*, packages: Packages, reference: str, signal_text: str = "", seconds: int | None = None) -> None:
    """Asks the process to end, then makes it; NotModified when there is none. Seconds: -1 waits for ever."""
    container = packages.containers.find(reference)
    number = signals.parse(signal_text) if signal_text else 0
    if not container.state.is_running:
        raise NotModified(f"container {container.id} is already stopped")
    container.record.was_stopped_by_user = True
    await end_process(packages, container, number, seconds)
    packages.containers.save(container)
    packages.events.publish("container", "stop", container.id, container.attributes())


async def end_process(packages: Packages, container: Container, number: int, seconds: int | None) -> None:
    """Signal, patience, SIGKILL; returns after the exit was reported. A restart that is due is called off."""
    if await call_off_restart(container):
        return
    config = container.record.config
    number = number or signals.parse(config.stop_signal or "SIGTERM")
    if seconds is None:
        seconds = _DEFAULT_SECONDS if config.stop_timeout is None else config.stop_timeout
    ended = container.expect_exit()
    try:
        await _send(packages, container, number)
        if not container.state.has_process:
            return
        if await _came(ended, None if seconds < 0 else float(seconds)):
            return
        await _send(packages, container, signal.SIGKILL)
        if container.state.has_process and not await _came(ended, _KILL_SECONDS):
            raise Internal(f"cannot stop container: {container.id}: it does not react to SIGKILL")
    finally:
        ended.cancel()


async def kill(*, packages: Packages, reference: str, signal_text: str = "") -> None:
    """Sends one signal and does not wait, but for SIGKILL; InvalidArgument, Conflict."""
    try:
        container = packages.containers.find(reference)
    except NotFound as error:
        raise NotFound(f"cannot kill container: {reference}: {error.message}") from None
    try:
        number = signals.parse(signal_text) if signal_text else int(signal.SIGKILL)
    except InvalidArgument as error:
        raise InvalidArgument(f"cannot kill container: {reference}: {error.message}") from None
    if await call_off_restart(container):
        packages.containers.save(container)
        return
    if not container.state.has_process or container.shim is None:
        raise Conflict(f"cannot kill container: {reference}: container {container.id} is not running")
    is_final = number in (signal.SIGKILL, _stop_number(container))
    if is_final:
        container.record.was_stopped_by_user = True
    ended = container.expect_exit()
    try:
        await _send(packages, container, number)
        if number == signal.SIGKILL:
            await _came(ended, _KILL_SECONDS)
    finally:
        ended.cancel()


async def call_off_restart(container: Container) -> bool:
    """Ends a container that waits for its next start; one whose start is under way is left to be signalled."""
    if container.state.status != "restarting":
        return False
    if not container.cancel_restart():
        async with container.lock:
            pass
    if container.state.status != "restarting":
        return False
    container.change("stop")
    container.report_exit()
    return True


def _stop_number(container: Container) -> int:
    try:
        return signals.parse(container.record.config.stop_signal or "SIGTERM")
    except InvalidArgument:
        return int(signal.SIGTERM)


async def _send(packages: Packages, container: Container, number: int) -> None:
    """One signal and its event; a paused container is thawed, or it could not hear it."""
    shim = container.shim
    if shim is None:
        return
    try:
        await shim.kill(number)
    except (Conflict, Unavailable):  # it has ended, or its shim has: either is reported
        return
    packages.events.publish("container", "kill", container.id, container.attributes(signal=str(int(number))))
    if container.state.status == "paused":
        with contextlib.suppress(HoldfastError):
            await shim.resume()
            if container.state.status == "paused":
                container.change("unpause")
                packages.events.publish("container", "unpause", container.id, container.attributes())


async def _came(ended: asyncio.Future[tuple[int, str]], seconds: float | None) -> bool:
    done, _ = await asyncio.wait([ended], timeout=seconds)
    return bool(done)
