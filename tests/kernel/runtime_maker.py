# SPDX-License-Identifier: Apache-2.0
"""A maker for the runtime's tests: a small single-threaded process, as a shim is, that runs one container.

Reads a request as JSON from argv[1], writes the answer as JSON to its stdout. Everything it mounts is in the container's
own mount namespace.
"""

import json
import os
import sys
from typing import Any

from holdfast.kernel import terminal
from holdfast.oci.mount import Mount
from holdfast.runtime import StartError, Stdio, cgroups, create, exec_process


def read_all(fd: int) -> bytes:
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:  # EIO: the terminal's last user has gone
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def finish(pidfd: int, out: int) -> tuple[str, int]:
    text = read_all(out).decode(errors="replace")
    ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    assert ended is not None
    return text, ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status


def run_exec(created: Any, process: dict[str, Any], cgroup: Any) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        made = exec_process(
            pid=created.pid,
            pidfd=created.pidfd,
            process=process,
            cgroup=cgroup,
            stdio=Stdio(null, write_end, write_end),
            seccomp=None,
        )
    except StartError as error:
        os.close(read_end)
        return {"error": error.message, "step": error.step}
    finally:
        os.close(write_end)
        os.close(null)
    out, status = finish(made.pidfd, read_end if made.console_fd is None else made.console_fd)
    os.close(read_end)
    if made.console_fd is not None:
        os.close(made.console_fd)
    return {"out": out, "status": status}


def main() -> None:
    request = json.loads(sys.argv[1])
    mounts = request.get("rootfs_mounts")
    answer: dict[str, Any] = {}
    for number in request.get("leaked", ()):
        os.dup2(os.open("/", os.O_RDONLY | os.O_DIRECTORY), number, inheritable=True)
    cgroup = hierarchy = None
    if request.get("cgroup"):
        hierarchy = cgroups.detect()
        cgroup = hierarchy.create(request["cgroup"], request["spec"]["linux"].get("resources") or {})
    program = None
    if request.get("seccomp"):
        from holdfast.runtime import seccomp

        program = seccomp.compile_default(frozenset(request["seccomp"]))
    read_end, write_end = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    before = sorted(os.listdir("/proc/self/fd"))
    try:
        created = create(
            container_id=request["id"],
            spec=request["spec"],
            rootfs_mounts=None if mounts is None else [Mount.from_json(each) for each in mounts],
            cgroup=cgroup,
            stdio=Stdio(null, write_end, write_end),
            seccomp=program,
            bundle=request["bundle"],
            hierarchy=hierarchy,
        )
        created.start()
        answer["missing"] = created.missing_capabilities
        if created.console_fd is not None and request.get("resize"):
            terminal.set_size(created.console_fd, *request["resize"])
        answer["execs"] = [run_exec(created, process, cgroup) for process in request.get("execs", ())]
        if request.get("kill"):
            os.kill(created.pid, 9)
        os.close(write_end)
        out = read_end if created.console_fd is None else created.console_fd
        answer["out"], answer["status"] = finish(created.pidfd, out)
        if created.console_fd is not None:
            os.close(created.console_fd)
    except StartError as error:
        answer |= {"error": error.message, "step": error.step, "errno": error.errno}
        os.close(write_end)
    answer["leaked"] = sorted(set(os.listdir("/proc/self/fd")) - set(before))
    if cgroup is not None:
        cgroup.remove()
    sys.stdout.write(json.dumps(answer))


main()
