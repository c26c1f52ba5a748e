# SPDX-License-Identifier: Apache-2.0
"""Who the command is when it starts: directory, limits, capabilities, ids, filter; and where its file is.

The last steps of an init or an exec, inside the container's root. The order is security: the bounding set and a filter
without no-new-privileges need capabilities that the later steps give up. Source: capabilities(7), runc's
finalizeNamespace, security.md §2.1 (CVE-2022-29162, CVE-2024-21626).
"""

from __future__ import annotations

import errno
import os
import stat

from holdfast.kernel import capabilities, paths, process, seccomp
from holdfast.runtime.channel import Refusal, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.plan import Capabilities, ProcessPlan

_AT_FDCWD = -100
_NOFILE = process.RLIMITS["RLIMIT_NOFILE"]
_FEW_FILES = 256
_PASSWD_LIMIT = 1 << 20


def set_limits(limits: Sequence[tuple[int, int, int]]) -> None:
    """Sets resource limits; a hard one is never raised over this process's own without CAP_SYS_RESOURCE."""
    for resource, soft, hard in limits:
        try:
            process.set_limit(resource, soft, hard)
        except PermissionError:
            _, own = process.get_limit(resource)
            process.set_limit(resource, min(soft, own), min(hard, own))


def leaves_few_descriptors(limits: Sequence[tuple[int, int, int]]) -> bool:
    """Whether so few files may be open that our own stand in the way."""
    return any(resource == _NOFILE and soft < _FEW_FILES for resource, soft, _ in limits)


def enter_directory(cwd: str, *, make: bool) -> bool:
    """Goes to the working directory; False when it needs the final user's rights. Magic links are no way out."""
    try:
        try:
            fd = paths.openat2(_AT_FDCWD, cwd, paths.DIRECTORY)
        except FileNotFoundError:
            if not make:
                raise
            fd = paths.make_directories(_AT_FDCWD, cwd)
        try:
            os.fchdir(fd)
        finally:
            os.close(fd)
    except PermissionError:
        return False
    except OSError as error:
        text = f'chdir to cwd ("{cwd}") set in config.json failed: {reason(error)}'
        raise Refusal("cwd", error.errno or 0, text) from None
    if not os.getcwdb().startswith(b"/"):
        text = f'chdir to cwd ("{cwd}") set in config.json failed: it is outside of the container'
        raise Refusal("cwd", errno.ENOENT, text)
    return True


def apply_identity(plan: ProcessPlan, sets: Capabilities | None, own_bounding: int, program: bytes | None) -> None:
    """From the maker's root to the command's user, in one go; `program` is the seccomp filter."""
    if sets is not None:
        capabilities.drop_bounding(own_bounding & ~sets.bounding)
    if program is not None and not plan.no_new_privileges:
        seccomp.install(program)
    keeps = sets is not None and plan.uid != 0 and bool(sets.ambient)
    if keeps:
        process.set_keep_capabilities(True)
    process.set_identity(plan.uid, plan.gid, plan.groups)
    if sets is not None:
        _apply_sets(plan, sets, keeps)
    if plan.no_new_privileges:
        process.set_no_new_privileges()
        if program is not None:
            seccomp.install(program)


def _apply_sets(plan: ProcessPlan, sets: Capabilities, keeps: bool) -> None:
    if plan.uid != 0 and not keeps:
        return  # the change of user has emptied them already
    process.set_keep_capabilities(False)
    capabilities.set_process(effective=sets.effective, permitted=sets.permitted, inheritable=sets.inheritable)
    if sets.ambient:
        capabilities.set_ambient(sets.ambient)


def set_home(plan: ProcessPlan) -> None:
    """HOME of the user by the container's own /etc/passwd, where nobody gave one; `/` for a stranger."""
    if plan.has_home:
        return
    home = "/"
    try:
        passwd = paths.read_file(_AT_FDCWD, "/etc/passwd", _PASSWD_LIMIT)
    except OSError:
        passwd = b""
    wanted = str(plan.uid).encode()
    for line in passwd.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 7 and fields[2] == wanted:
            home = os.fsdecode(fields[5]) or "/"
            break
    plan.environment["HOME"] = home


def find_command(plan: ProcessPlan) -> str:
    """The file to execute, looked up as the final user inside the final root; errors in Docker's words."""
    name = plan.argv[0]
    if "/" in name:
        try:
            _check_executable(name)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                raise Refusal("exec", error.errno, f'exec: "{name}": stat {name}: {reason(error)}') from None
            raise Refusal("exec", error.errno or 0, f'exec: "{name}": {reason(error)}') from None
        return name
    refused = None
    for directory in plan.search_path:
        candidate = f"{directory or '.'}/{name}"
        try:
            _check_executable(candidate)
        except PermissionError:
            refused = candidate
        except OSError:
            continue
        else:
            return candidate
    if refused is not None and name:
        raise Refusal("exec", errno.EACCES, f'exec: "{name}": permission denied')
    raise Refusal("exec", errno.ENOENT, f'exec: "{name}": executable file not found in $PATH')


def _check_executable(path: str) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not mode & 0o111 or not os.access(path, os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
