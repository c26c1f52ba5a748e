# SPDX-License-Identifier: Apache-2.0
"""Health checks: a task per running container that has one, which execs its test and counts.

Called by the jobs start, reap and restore. Source: moby 28 `daemon/health.go`; Engine API v1.51 HealthConfig.
"""

from __future__ import annotations

import asyncio
import socket
import time

from holdfast.containers import Container, timestamps
from holdfast.containers.config import HealthConfig
from holdfast.containers.execs import ExecConfig
from holdfast.containers.record import Health, HealthResult
from holdfast.engine import durations
from holdfast.engine.jobs import exec as exec_job
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.shim.client import StreamGrant

_NANO = 1_000_000_000
_INTERVAL = _TIMEOUT = 30 * _NANO
_START_INTERVAL = 5 * _NANO
_RETRIES = 3
_KEPT_RESULTS = 5
_OUTPUT_LIMIT = 4096
_FAILED, _TIMED_OUT = 1, -1
_SHELL = ["/bin/sh", "-c"]


def begin(packages: Packages, container: Container, *, is_found_again: bool = False) -> None:
    """Starts the checks of a container that has just been started or found again; nothing when it has none.

    Of one that is found again the last daemon's word counts until the first check, which comes soon.
    """
    stop(container)
    health, config = container.state.health, container.record.config.healthcheck
    if health is not None and config is not None and config.test:
        container.health_task = packages.background.start(
            _watch(packages, container, config, health, is_due=is_found_again), f"health of {container.id[:12]}"
        )


def stop(container: Container) -> None:
    """Ends the checks; idempotent."""
    task, container.health_task = container.health_task, None
    if task is not None:
        task.cancel()


def command(config: HealthConfig, shell: list[str] | None) -> list[str]:
    """The test as argv."""
    test = config.test or []
    return [*(shell or _SHELL), *test[1:2]] if test[0] == "CMD-SHELL" else test[1:]


def judge(health: Health, config: HealthConfig, result: HealthResult, is_starting_period: bool) -> str:
    """Counts one result in and returns the new status. Pure but for the health value itself."""
    health.log = [*health.log, result][-_KEPT_RESULTS:]
    if result.exit_code == 0:
        health.failing_streak = 0
        return "healthy"
    if is_starting_period and health.status == "starting":
        return "starting"
    health.failing_streak += 1
    return "unhealthy" if health.failing_streak >= (config.retries or _RETRIES) else health.status


async def _watch(
    packages: Packages, container: Container, config: HealthConfig, health: Health, *, is_due: bool
) -> None:
    began = container.begun_nanos
    while container.state.has_process and container.state.health is health:
        is_starting = health.status == "starting" and time.monotonic_ns() - began < config.start_period
        pause, sooner = config.interval or _INTERVAL, config.start_interval or _START_INTERVAL
        if is_starting or is_due:
            pause = min(pause, sooner) if is_due else sooner
        is_due = False
        await asyncio.sleep(pause / _NANO)
        if container.state.status != "running":
            continue
        result = await _probe(packages, container, config)
        if container.state.health is not health or not container.state.has_process:
            return
        status = judge(health, config, result, time.monotonic_ns() - began < config.start_period)
        has_changed, health.status = status != health.status, status
        packages.containers.save(container)
        if has_changed:
            packages.events.publish("container", f"health_status: {status}", container.id, container.attributes())


async def _probe(packages: Packages, container: Container, config: HealthConfig) -> HealthResult:
    start = time.time_ns()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    seconds, limit = (config.timeout or _TIMEOUT) / _NANO, durations.text(config.timeout or _TIMEOUT)
    output, code, told = bytearray(), _FAILED, ""
    try:
        shell = container.record.config.shell
        argv = command(config, [shell] if isinstance(shell, str) else shell)
        wish = ExecConfig(cmd=argv, attach_stdout=True, attach_stderr=True)
        found = exec_job.create_exec(packages=packages, reference=container.id, config=wish)
        grant = StreamGrant(sock=theirs, stdin=False, stdout=True, stderr=True, framed=False)
        await exec_job.start_exec(packages=packages, found=found, tty=False, console_size=None, grants=[grant])
        try:
            async with asyncio.timeout(seconds):
                await _read_all(ours, output)
                code = await _exit_code(packages, found.id)
        except TimeoutError:
            code, told = _TIMED_OUT, f"Health check exceeded timeout ({limit})"
            if container.shim is not None and found.exit_code is None:
                await container.shim.kill_exec(found.id, 9)
    except (HoldfastError, OSError) as error:
        told = str(error)
    finally:
        ours.close()
        theirs.close()
    text = ": ".join(part for part in (told, _shown(output)) if part)
    return HealthResult(
        start=timestamps.rfc3339(start), end=timestamps.rfc3339(time.time_ns()), exit_code=code, output=text
    )


async def _read_all(sock: socket.socket, kept: bytearray) -> None:
    """Until the process has closed its output; one byte more than is shown is kept of it."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(sock, 65536):
        kept += data[: _OUTPUT_LIMIT + 1 - len(kept)]


def _shown(output: bytes | bytearray) -> str:
    text = output[:_OUTPUT_LIMIT].decode("utf-8", "replace")
    return text + "..." if len(output) > _OUTPUT_LIMIT else text


async def _exit_code(packages: Packages, exec_id: str) -> int:
    found = packages.containers.execs.get(exec_id)
    await found.ended.wait()
    return _FAILED if found.exit_code is None else found.exit_code
