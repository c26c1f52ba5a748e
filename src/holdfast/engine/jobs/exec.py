# SPDX-License-Identifier: Apache-2.0
"""`docker exec`: another process in a running container. Called by `api.routes.exec` and by health checks.

Source: Engine API v1.51 ContainerExec, ExecStart; moby 28 `daemon/exec.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

from holdfast.containers import Container, detach_keys, sandbox, spec
from holdfast.containers.config import console_size
from holdfast.containers.execs import Exec, ExecConfig
from holdfast.engine import links, start_failure, surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError, InvalidArgument
from holdfast.runtime.errors import StartError
from holdfast.shim.client import StreamGrant

_KEPT_NANOS = 300 * 1_000_000_000
_PREFIX = "OCI runtime exec failed: exec failed: "


def create_exec(*, packages: Packages, reference: str, config: ExecConfig) -> Exec:
    """Notes the wish; Conflict unless the container runs."""
    command = config.cmd
    if not command:
        raise InvalidArgument("No exec command specified")
    if any("\0" in text for text in (*command, *(config.env or ()), config.working_dir)):
        raise InvalidArgument("invalid exec: its command, environment or working directory contains a null byte")
    container = packages.containers.find(reference)
    require_running(container, reference)
    detach_keys.parse(config.detach_keys)
    config.console_size = console_size(config.console_size or [])
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
    if config.user:
        groups = container.record.host_config.group_add or ()
        surroundings.resolve_running(container.record.state.pid, config.user, groups)
    config.user = config.user or container.record.config.user
    found = Exec(secrets.token_hex(32), container.id, config, command)
    packages.containers.execs.forget_ended(time.time_ns() - _KEPT_NANOS)
    packages.containers.execs.add(found)
    _publish(packages, container, found, "exec_create")
    return found


def require_running(container: Container, reference: str) -> None:
    """Raises Conflict in Docker's words, with the name that was asked for, when nothing can be executed in it."""
    if container.state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    container.require_shim()
    if container.state.status == "paused":
        raise Conflict(f"Container {reference} is paused, unpause the container before exec")


def require_fresh(packages: Packages, exec_id: str) -> Exec:
    """An exec that may be started; NotFound, Conflict."""
    found = packages.containers.execs.get(exec_id)
    if found.exit_code is not None or found.was_started:
        raise Conflict(f"exec command {exec_id} has already run")
    require_running(packages.containers.find(found.container_id), found.container_id)
    return found


async def start_exec(
    *, packages: Packages, found: Exec, tty: bool, console_size: Sequence[int] | None, grants: Sequence[StreamGrant]
) -> None:
    """Runs it; returns when the command has been executed. StartError (in Docker's words) leaves an exit code."""
    container = packages.containers.find(found.container_id)
    shim = container.require_shim()
    if found.was_started:
        raise Conflict(f"exec command {found.id} has already run")
    found.was_started = True
    _publish(packages, container, found, "exec_start")
    found.is_running = True
    try:
        process = _process(packages, container, found, tty, console_size)
        pid = await shim.exec(found.id, process, tty=tty, open_stdin=found.config.attach_stdin, grants=grants)
    except BaseException as error:
        found.finish(min(127, start_failure.exit_code(str(error))), time.time_ns())
        if isinstance(error, StartError):
            raise StartError(_PREFIX + start_failure.worded(error), step=error.step, errno=error.errno) from error
        raise
    if found.exit_code is None:
        found.pid = pid


async def settle_exec(*, packages: Packages, found: Exec) -> None:
    """Waits for the report of an exec that has just ended: its client may have seen the end of the stream before us."""
    container = packages.containers.find(found.container_id)
    if not found.is_running or container.shim is None:
        return
    try:
        await container.shim.kill_exec(found.id, 0)
    except HoldfastError:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(found.ended.wait(), 1.0)


def _process(
    packages: Packages, container: Container, found: Exec, tty: bool, size: Sequence[int] | None
) -> dict[str, Any]:
    record, config = container.record, found.config
    groups = record.host_config.group_add or ()
    identity = surroundings.resolve_running(record.state.pid, config.user or record.config.user, groups)
    bounding = frozenset(packages.machine.bounding_capabilities)
    names = sorted(bounding) if config.privileged else spec.capabilities(record, bounding)
    linked: list[str] = []
    with contextlib.suppress(HoldfastError):  # whoever is linked to has ended since: that is no reason to refuse
        linked = links.environment(packages, record)
    environment = spec.environment(record, record.config.hostname, "", tty=tty, linked=linked)
    options = sandbox.parse_security_options(record.host_config.security_opt or (), packages.config.sandbox)
    process: dict[str, Any] = {
        "terminal": tty,
        "user": spec.user_document(identity),
        "args": found.command,
        "env": merge_environment(environment, config.env or (), identity.home),
        "cwd": config.working_dir or record.config.working_dir or "/",
        "capabilities": spec.process_capabilities(names),
        "rlimits": spec.rlimits(record),
        "noNewPrivileges": options.no_new_privileges,
        "oomScoreAdj": record.host_config.oom_score_adj,
    }
    if packages.config.has_apparmor and options.apparmor not in ("", sandbox.UNCONFINED):
        process["apparmorProfile"] = options.apparmor
    size = size if size and any(size) else config.console_size
    if tty and size and any(size):
        process["consoleSize"] = spec.terminal_size(size)
    return process


def merge_environment(base: Sequence[str], more: Sequence[str], home: str) -> list[str]:
    """The container's environment with the exec's own on top; `NAME` alone takes one away."""
    found = {entry.partition("=")[0]: entry for entry in base}
    for entry in more:
        name, equals, _ = entry.partition("=")
        if equals:
            found[name] = entry
        else:
            found.pop(name, None)
    if "HOME" not in found and home:
        found["HOME"] = f"HOME={home}"
    return list(found.values())


def _publish(packages: Packages, container: Container, found: Exec, verb: str) -> None:
    action = f"{verb}: {found.command[0]} {' '.join(found.command[1:])}"
    packages.events.publish("container", action, container.id, container.attributes(execID=found.id))
