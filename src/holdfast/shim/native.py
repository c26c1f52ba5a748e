# SPDX-License-Identifier: Apache-2.0
"""Runs a container's processes with our own `runtime`, in this very process (the twin of `external`)."""

from __future__ import annotations

from holdfast import runtime
from holdfast.oci.mount import Mount
from holdfast.runtime import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups import Cgroup
    from holdfast.shim.process import Process
    from holdfast.shim.protocol import Message
    from holdfast.shim.stdio import Pipes


class Native:
    """One container under our own runtime."""

    __slots__ = ("_mode",)

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def start(self, launch: Message, spec: Message, cgroup: Cgroup, pipes: Pipes | None) -> runtime.Created:
        """Starts the init; returns when execve has succeeded, raises StartError with nothing left behind."""
        mounts = launch["rootfs_mounts"]
        created = runtime.create(
            container_id=launch["container_id"],
            spec=spec,
            rootfs_mounts=None if mounts is None else [Mount.from_json(mount) for mount in mounts],
            cgroup=cgroup,
            stdio=_stdio(pipes),
            seccomp=_compile(self._mode, spec),
            bundle=launch["directory"],
        )
        created.start()
        return created

    def execute(
        self, process: Message, spec: Message, cgroup: Cgroup, init: Process, pipes: Pipes | None
    ) -> runtime.ExecProcess:
        """Starts another process in the container; as `start`. The filter is the init's."""
        return runtime.exec_process(
            pid=init.pid,
            pidfd=init.pidfd,
            process=process,
            cgroup=cgroup,
            stdio=_stdio(pipes),
            seccomp=_compile(self._mode, spec),
        )

    def clean_up(self) -> None:
        """Has nothing to do: the mounts were the container's own and went with it."""


def _stdio(pipes: Pipes | None) -> runtime.Stdio | None:
    return None if pipes is None else runtime.Stdio(pipes.stdin, pipes.stdout, pipes.stderr)


def _compile(mode: str, spec: Message) -> bytes | None:
    profile = spec.get("linux", {}).get("seccomp")
    if profile:
        return seccomp.compile(profile)
    if mode != "default":
        return None
    capabilities = spec["process"].get("capabilities", {})
    return seccomp.compile_default(frozenset(capabilities.get("bounding", ())))
