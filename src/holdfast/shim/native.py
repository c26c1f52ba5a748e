# SPDX-License-Identifier: Apache-2.0
"""Runs a container's processes with our own `runtime`, in the very process of `labour` (the twin of `external`)."""

from __future__ import annotations

from holdfast import runtime
from holdfast.oci.mount import Mount
from holdfast.runtime import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from holdfast.runtime.cgroups import Cgroup, Hierarchy
    from holdfast.runtime.channel import Channel as Gate
    from holdfast.runtime.hooks import Hooks
    from holdfast.shim.protocol import Message


class Native:
    """One container under our own runtime."""

    __slots__ = ("_mode",)

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def start(
        self,
        order: Message,
        spec: Message,
        cgroup: Cgroup,
        stdio: runtime.Stdio | None,
        gate: Gate,
        hierarchy: Hierarchy,
        wait: Callable[[], None] | None,
        stock: runtime.Stock | None,
    ) -> runtime.Created:
        """Starts the init, in the caller's place if it can be; else returns when execve has succeeded. StartError.

        `wait` returns when what the spec names is there; much can be done before. `stock` is what has been made ahead.
        """
        mounts = order["rootfs_mounts"]
        arguments: dict[str, Any] = {
            "container_id": order["container_id"],
            "spec": spec,
            "rootfs_mounts": None if mounts is None else [Mount.from_json(mount) for mount in mounts],
            "cgroup": cgroup,
            "stdio": stdio,
            "seccomp": _compile(self._mode, spec),
            "bundle": order["directory"],
            "hierarchy": hierarchy,
            "wait": wait,
        }
        if spec.get("hooks"):  # they want this process beside the init, which therefore cannot borrow its memory
            created = runtime.create(**arguments, hooks=_hooks(order, spec))
        else:
            runtime.become(**arguments, end=gate, stock=stock)
            created = runtime.create(**arguments)
        created.start()
        return created

    def execute(
        self,
        process: Message,
        spec: Message,
        cgroup: Cgroup,
        init: tuple[int, int],
        stdio: runtime.Stdio | None,
        gate: Gate,
    ) -> runtime.ExecProcess:
        """Starts another process beside `init` (pid, pidfd); as `start`. The filter is the init's."""
        arguments: dict[str, Any] = {
            "pid": init[0],
            "pidfd": init[1],
            "process": process,
            "cgroup": cgroup,
            "stdio": stdio,
            "seccomp": _compile(self._mode, spec),
        }
        runtime.become_exec(**arguments, end=gate)
        return runtime.exec_process(**arguments)

    def clean_up(self) -> None:
        """Has nothing to do: the mounts were the container's own and went with it."""


def _hooks(order: Message, spec: Message) -> Hooks:
    """The programs that a CDI device brings; they run before the command does."""
    from holdfast.runtime.hooks import Hooks  # few containers have any

    state = {
        "ociVersion": spec["ociVersion"],
        "id": order["container_id"],
        "bundle": order["directory"],
        "annotations": spec.get("annotations", {}),
    }
    return Hooks(spec["hooks"], state)


def _compile(mode: str, spec: Message) -> bytes | None:
    profile = spec.get("linux", {}).get("seccomp")
    if profile:
        return seccomp.compile(profile)
    if mode != "default":
        return None
    capabilities = spec["process"].get("capabilities", {})
    return seccomp.compile_default(frozenset(capabilities.get("bounding", ())))
