# SPDX-License-Identifier: Apache-2.0
"""What a spare shim and its maker do while nobody waits: the very steps of a start, as far as they leave no trace.

A forked Python pays 3-4 µs for every page that it touches for the first time. A spare has touched 330 pages less than
its start needs, its maker 350: 2 ms of a start. Called by `main` and `labour`; `spares` makes the spec once, before it
forks, because each page that the forking side touches becomes a page of a shim's own.

Before the first fork `spares` also warms the code up: the interpreter writes into code that runs for the first times
(PEP 659), which would copy its pages in every child. 50 page faults less a start, 0.1 MB less a shim, for 7 ms once.
For that it makes a real cgroup, and takes it away again: 70 page faults and 0.3 ms less a start, for 12 ms once.
"""

from __future__ import annotations

import os

from holdfast import errors, runtime
from holdfast.kernel import loop
from holdfast.runtime import defaults, seccomp
from holdfast.shim import protocol
from holdfast.shim.stdio import Pipes
from holdfast.shim.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups import Hierarchy


_ROUNDS = 16


def sample() -> bytes:
    """A spec of the usual shape, as it lies in a file."""
    capabilities = list(defaults.CAPABILITIES)
    rules = [
        {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}
        for allow, kind, major, minor, access in defaults.DEVICE_RULES
    ]
    spec = {
        "process": {
            "args": ["true"],
            "env": [f"PATH={defaults.PATH}", "HOSTNAME=rehearsal"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        },
        "hostname": "rehearsal",
        "mounts": [
            {"type": kind, "source": source, "destination": target, "options": list(options)}
            for kind, source, target, options in defaults.MOUNTS
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in defaults.NAMESPACES],
            "resources": {"devices": rules},
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
            "sysctl": dict(defaults.SYSCTLS),
        },
    }
    return protocol.encode(spec)


def warm_up(spec_bytes: bytes, hierarchy: Hierarchy) -> None:
    """Both rehearsals, until the interpreter has settled how it runs their code."""
    for _ in range(_ROUNDS):
        stock = of_maker(spec_bytes, hierarchy)
        if stock is not None:
            stock.close()
        of_shim()
    resources = protocol.decode(spec_bytes)["linux"]["resources"]
    try:
        for _ in range(_ROUNDS):
            _of_cgroup(hierarchy, resources)
    except (errors.HoldfastError, OSError):  # the first container will say why
        return


def _of_cgroup(hierarchy: Hierarchy, resources: protocol.Message) -> None:
    cgroup = hierarchy.create(f"/hold-spawner-{os.getpid()}", resources)
    try:
        for fd in cgroup.join_fds():
            os.close(fd)
    finally:
        cgroup.remove()


def of_maker(spec_bytes: bytes, hierarchy: Hierarchy) -> runtime.Stock | None:
    """The half of a start for which no container is needed; returns what has been made for it, if it could be."""
    spec = protocol.decode(spec_bytes)
    seccomp.compile_default(frozenset(spec["process"]["capabilities"]["bounding"]))
    try:
        return runtime.rehearse(spec, hierarchy)
    except runtime.StartError:  # a container that needs it will say so
        return None


def of_shim() -> None:
    """The streams of a process that says one word and ends."""
    poll = loop.Loop()
    pipes = Pipes()
    os.write(pipes.stdout, b"rehearsal")
    pipes.close_theirs()
    streams = Streams(poll, is_tty=False, log=None, on_detached=None)
    if pipes.ours_in is not None:
        streams.add_stdin(pipes.ours_in)
    for stream, fd in pipes.ours_out.items():
        streams.add_output(stream, fd)
    streams.drain(poll.close)
    protocol.decode(protocol.encode({"event": "rehearsal"}))
