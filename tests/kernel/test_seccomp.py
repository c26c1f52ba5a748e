# SPDX-License-Identifier: Apache-2.0
"""The default filter as the kernel carries it out: every number is called inside a child of its own mount namespace.

The sweep's profile is the default one with errno 200 for denied, which no system call returns by itself, so that a
filter's refusal cannot be taken for the kernel's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from holdfast.kernel import seccomp as kernel_seccomp
from holdfast.kernel import syscall_names
from holdfast.runtime import defaults, seccomp

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the expectation is written in x86_64 numbers"),
]

DENIED = 200
ENOSYS = 38
EPERM = 1
NEWEST = 466
X86_64 = 0xC000003E
# they end, stop, duplicate or signal the caller, or take too long
NOT_SWEPT = frozenset(
    {
        *(15, 34, 37, 57, 58, 60, 231),  # rt_sigreturn pause alarm fork vfork exit exit_group
        *(62, 200, 234, 129, 297, 424),  # kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal
        162,  # sync
        *(
            335,
            336,
        ),  # uretprobe, uprobe: the kernel lets them pass every filter (kernel/seccomp.c), and they raise SIGILL
    }
)

PRELUDE = """
import ctypes, json, os, sys
from holdfast.kernel import namespaces, seccomp as kernel_seccomp
from holdfast.runtime import seccomp
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def errno_of(number, *arguments):
    ctypes.set_errno(0)
    words = [ctypes.c_ulong(each & (2**64 - 1)) for each in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    return ctypes.get_errno() if result == -1 else 0
namespaces.unshare(namespaces.NEWNS)
profile = json.loads(sys.stdin.read())
program = seccomp.compile(profile)
"""


def run_sandboxed(code: str, profile: dict[str, object]) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], input=json.dumps(profile), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def default_profile() -> dict[str, object]:
    return seccomp.default_profile(frozenset(defaults.CAPABILITIES), "x86_64")


def expected_errnos(profile: dict) -> dict[int, int | None]:
    """{number: errno of the filter, or None for a call that reaches the kernel} from the names alone."""
    resolver = kernel_seccomp.SyscallNames()
    reaching: set[int] = set()
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            number = resolver.number(X86_64, name)
            if number == kernel_seccomp.UNKNOWN:
                number = syscall_names.EVERYWHERE.get(name, -1)
            if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args"):
                reaching.add(number)
    expected: dict[int, int | None] = {each: None if each in reaching else DENIED for each in range(NEWEST + 1)}
    expected[435] = ENOSYS  # clone3
    expected.update(dict.fromkeys(range(NEWEST + 1, 600), ENOSYS))
    return expected


def test_every_number_gets_the_answer_of_the_profile() -> None:
    profile = {**default_profile(), "defaultErrnoRet": DENIED}
    swept = [each for each in range(600) if each not in NOT_SWEPT]
    code = f"""
kernel_seccomp.install(program)
print(json.dumps({{each: errno_of(each, -1, -1, -1, -1, -1, -1) for each in {swept}}}))
"""

    found = run_sandboxed(code, profile)

    expected = expected_errnos(profile)
    wrong = {}
    for each in swept:
        errno, wanted = found[str(each)], expected[each]
        if (errno == DENIED) if wanted is None else (errno != wanted):
            wrong[each] = (errno, wanted)
    # with -1 as family, flags and persona the conditional calls are denied, but for personality(0xffffffff) and socket(-1)
    assert {key: value for key, value in wrong.items() if key not in (41, 56, 135)} == {}
    assert (found["56"], found["135"]) == (DENIED, 0)


def test_the_default_filter_denies_with_eperm_and_unknown_calls_with_enosys() -> None:
    code = """
kernel_seccomp.install(program)
print(json.dumps({
    "unix": errno_of(41, 1, 1, 0), "alg": errno_of(41, 38, 5, 0), "vsock": errno_of(41, 40, 1, 0),
    "hidden alg": errno_of(41, 1 << 32 | 38, 5, 0), "unshare": errno_of(272, 0x20000), "keyctl": errno_of(250, 0, 0),
    "mount": errno_of(165, 0, 0, 0, 0, 0), "clone userns": errno_of(56, 0x10000011, 0, 0, 0, 0),
    "clone3": errno_of(435, 0, 0), "persona": errno_of(135, 0x40000), "asking persona": errno_of(135, 0xFFFFFFFF),
    "future": errno_of(900), "open_tree_attr": errno_of(467, -1, 0, 0, 0, 0), "io_uring": errno_of(425, 1, 0),
    "x32 mount": errno_of(0x40000000 | 165, 0, 0, 0, 0, 0), "ptrace": errno_of(101, 16, 1, 0, 0),
    "status": int(open("/proc/self/status").read().split("Seccomp:")[1].split()[0]),
}))
"""

    found = run_sandboxed(code, default_profile())

    assert found == {
        "unix": 0,
        "alg": EPERM,
        "vsock": EPERM,
        "hidden alg": EPERM,
        "unshare": EPERM,
        "keyctl": EPERM,
        "mount": EPERM,
        "clone userns": EPERM,
        "clone3": ENOSYS,
        "persona": EPERM,
        "asking persona": 0,
        "future": ENOSYS,
        "open_tree_attr": ENOSYS,
        "io_uring": EPERM,
        "x32 mount": EPERM,
        "ptrace": found["ptrace"],
        "status": 2,
    }
    assert found["ptrace"] in (3, EPERM)  # ESRCH: it reached the kernel; EPERM: the kernel's own, for pid 1


def test_32_bit_calls_are_judged_too() -> None:
    code = """
import mmap
gate = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
gate.write(bytes.fromhex("53" "89f8" "31db" "31c9" "31d2" "cd80" "5b" "c3"))  # eax = edi, no arguments, int 0x80
call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(gate)))
before = os.getpid()
kernel_seccomp.install(program)
print(json.dumps({"getpid": int(call(20) == before), "mount": -call(21), "unshare": -call(310), "clone3": -call(435)}))
os._exit(0) if not sys.stdout.flush() else None
"""

    found = run_sandboxed(code, default_profile())

    assert found == {"getpid": 1, "mount": EPERM, "unshare": EPERM, "clone3": ENOSYS}
