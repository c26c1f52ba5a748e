# SPDX-License-Identifier: Apache-2.0
"""Filters are judged by running them: a small classic BPF interpreter asks, libseccomp's own filter is the oracle."""

from __future__ import annotations

import ctypes
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument, Unsupported
from holdfast.kernel import seccomp as kernel_seccomp
from holdfast.runtime import seccomp, seccomp_tree

_CAPABILITIES = """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
    SYS_CHROOT KILL AUDIT_WRITE"""
DEFAULT_CAPABILITIES = frozenset(f"CAP_{name}" for name in _CAPABILITIES.split())
DENIED = """acct add_key bpf clock_settime fanotify_init fsconfig fsmount fsopen fspick get_mempolicy io_uring_enter
    io_uring_register io_uring_setup ioperm iopl kcmp kexec_load kexec_file_load keyctl lookup_dcookie mbind
    migrate_pages mount mount_setattr move_mount move_pages open_by_handle_at open_tree perf_event_open pidfd_getfd
    pivot_root process_madvise quotactl quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node
    setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog umount2 unshare userfaultfd uselib
    ustat vhangup init_module finit_module delete_module create_module nfsservctl"""
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0
X86_64, X86, X32_BIT = 0xC000003E, 0x40000003, 0x40000000


def decide(program: bytes, number: int, *arguments: int, arch: int = X86_64) -> int:
    """What a filter returns for one call."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    code = list(struct.iter_unpack("<HBBI", program))
    place, held = 0, 0
    while True:
        operation, if_true, if_false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                held = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                held &= value
            case 0x05:
                place += value
            case 0x15:
                place += if_true if held == value else if_false
            case 0x25:
                place += if_true if held > value else if_false
            case 0x35:
                place += if_true if held >= value else if_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"operation {operation:#x}")


def number(name: str, arch: int = X86_64) -> int:
    return kernel_seccomp.SyscallNames().number(arch, name)


_ACTIONS = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": 0x50000}


class Oracle:
    """libseccomp's own compiler, for the same rules."""

    class Comparison(ctypes.Structure):
        _fields_ = (("index", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))

    OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")

    def __init__(self, profile: dict) -> None:
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(EPERM)))
        for token in (X86, 0x4000003E):
            self.library.seccomp_arch_add(self.context, ctypes.c_uint32(token))
        for rule in profile["syscalls"]:
            for name in rule["names"]:
                self.add(name, _ACTIONS[rule["action"]] | rule.get("errnoRet", 0), rule.get("args", []))

    def add(self, name: str, action: int, arguments: list) -> None:
        native = self.library.seccomp_syscall_resolve_name(name.encode())
        comparisons = (self.Comparison * len(arguments))(
            *(
                (each["index"], 1 + self.OPERATORS.index(each["op"][9:]), each["value"], each["valueTwo"])
                for each in arguments
            )
        )
        result = self.library.seccomp_rule_add_array(
            self.context, ctypes.c_uint32(action), native, len(arguments), comparisons
        )
        assert native == -1 or result == 0, (name, result)

    def export(self) -> bytes:
        fd = os.memfd_create("oracle")
        assert self.library.seccomp_export_bpf(self.context, fd) == 0
        return os.pread(fd, 1 << 20, 0)


@pytest.fixture(scope="module")
def program() -> bytes:
    return seccomp.compile_default(DEFAULT_CAPABILITIES)


@pytest.mark.parametrize("capability", ["none", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"])
def test_the_default_profile_decides_as_libseccomp_does(capability: str) -> None:
    profile = seccomp.default_profile(DEFAULT_CAPABILITIES | {capability}, "x86_64")
    oracle = Oracle(profile).export()

    ours = seccomp.compile(profile)

    # libseccomp 2.5.4 knows nothing from 451 on, and not uretprobe (335 on x86_64)
    for arch in (X86_64, X86):
        for each in (*range(335), *range(336, 451)):
            for first in (0, 8, 17, 38, 39, 40, 41, 0x20000, 0x20001, 0x20008, 0x10000000, 0x2000000, 0xFFFFFFFF):
                assert decide(ours, each, first, arch=arch) == decide(oracle, each, first, arch=arch), (
                    each,
                    first,
                    arch,
                )


def test_x32_numbers_get_the_answers_of_x32(program: bytes) -> None:
    oracle = Oracle(seccomp.default_profile(DEFAULT_CAPABILITIES, "x86_64")).export()
    names = kernel_seccomp.SyscallNames()
    profile = seccomp.default_profile(DEFAULT_CAPABILITIES, "x86_64")

    for name in {name for rule in profile["syscalls"] for name in rule["names"]}:
        x32 = names.number(0x4000003E, name)
        if x32 >= 0:
            assert decide(program, x32, 0) == decide(oracle, x32, 0), name
    for denied in ("bpf", "mount", "unshare", "keyctl", "add_key", "kexec_load", "io_uring_setup"):
        assert decide(program, names.number(0x4000003E, denied)) in (EPERM, ENOSYS), denied


def test_denied_calls_are_those_of_the_newest_profile(program: bytes) -> None:
    denied = DENIED.split()

    assert {name: decide(program, number(name)) for name in denied} == dict.fromkeys(denied, EPERM)
    assert decide(program, number("clone3")) == ENOSYS


@pytest.mark.parametrize("each", [451, 452, 453, 454, 457, 458, 462, 463, 466, 335])
def test_calls_newer_than_libseccomp_are_allowed_by_their_number(program: bytes, each: int) -> None:
    assert decide(program, each) == ALLOW


@pytest.mark.parametrize("each", [467, 468, 469, 470, 999, 0x3FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("arch", [X86_64, X86])
def test_calls_newer_than_the_profile_do_not_exist(program: bytes, each: int, arch: int) -> None:
    assert decide(program, each, arch=arch) == ENOSYS


@pytest.mark.parametrize(
    ("family", "answer"),
    [(1, ALLOW), (2, ALLOW), (16, ALLOW), (37, ALLOW), (38, EPERM), (39, ALLOW), (40, EPERM), (41, ALLOW)],
)
def test_socket_families(program: bytes, family: int, answer: int) -> None:
    assert decide(program, number("socket"), family) == answer
    assert decide(program, 359, family, arch=X86) == answer


def test_a_socket_family_cannot_hide_behind_bits_that_the_kernel_drops(program: bytes) -> None:
    assert decide(program, number("socket"), 1 << 32 | 38) == EPERM
    assert decide(program, number("socket"), 0xFFFFFFFF << 32 | 40) == EPERM
    assert decide(program, number("personality"), 1 << 40 | 0x0040000) == EPERM


@pytest.mark.parametrize("flag", [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_with_a_new_namespace_is_denied(program: bytes, flag: int) -> None:
    assert decide(program, number("clone"), flag | 17) == EPERM
    assert decide(program, number("clone"), 17) == ALLOW
    assert decide(seccomp.compile_default(DEFAULT_CAPABILITIES | {"CAP_SYS_ADMIN"}), number("clone"), flag) == ALLOW


@pytest.mark.parametrize(
    ("persona", "answer"),
    [(0, ALLOW), (8, ALLOW), (0x20000, ALLOW), (0x20008, ALLOW), (0xFFFFFFFF, ALLOW), (1, EPERM), (0x40000, EPERM)],
)
def test_personalities(program: bytes, persona: int, answer: int) -> None:
    assert decide(program, number("personality"), persona) == answer


def test_a_foreign_architecture_is_killed(program: bytes) -> None:
    assert decide(program, 1, arch=0xC00000B7) == KILL
    native = {**seccomp.default_profile(DEFAULT_CAPABILITIES, "x86_64"), "architectures": ["SCMP_ARCH_X86_64"]}
    assert decide(seccomp.compile(native), 1, arch=X86) == KILL
    assert decide(seccomp.compile(native), X32_BIT | 1) == KILL


def test_capabilities_open_their_calls() -> None:
    for capability, name in (
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_TIME", "settimeofday"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_MODULE", "init_module"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
        ("CAP_SYSLOG", "syslog"),
    ):
        assert decide(seccomp.compile_default(frozenset()), number(name)) == EPERM
        assert decide(seccomp.compile_default(frozenset({capability})), number(name)) == ALLOW


def test_a_permissive_default_leaves_new_calls_alone() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "statmount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}],
    }

    program = seccomp.compile(profile)

    assert decide(program, number("mkdir")) == 0x50005
    assert decide(program, 457) == 0x50005
    assert decide(program, 5000) == ALLOW


def test_several_conditions_on_one_argument_are_alternatives() -> None:
    two = [{"index": 1, "value": value, "op": "SCMP_CMP_EQ"} for value in (5, 1 << 33)]
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["lseek"], "action": "SCMP_ACT_ALLOW", "args": two}],
    }

    program = seccomp.compile(profile)

    assert [decide(program, number("lseek"), 0, each) for each in (5, 1 << 33, 6, 5 | 1 << 33)] == [
        ALLOW,
        ALLOW,
        EPERM,
        EPERM,
    ]


_OPERATIONS = {
    "NE": lambda a, b, _: a != b,
    "LT": lambda a, b, _: a < b,
    "LE": lambda a, b, _: a <= b,
    "EQ": lambda a, b, _: a == b,
    "GE": lambda a, b, _: a >= b,
    "GT": lambda a, b, _: a > b,
    "MASKED_EQ": lambda a, b, c: a & b == c,
}
_WORDS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63]))


@settings(max_examples=300, deadline=None)
@given(operator=st.sampled_from(sorted(_OPERATIONS)), value=_WORDS, second=_WORDS, argument=_WORDS)
def test_comparisons_are_unsigned_and_64_bits_wide(operator: str, value: int, second: int, argument: int) -> None:
    comparison = (3, operator, value, second, False)
    architecture = seccomp_tree.Architecture(X86_64, {7: (((comparison,), ALLOW), ((), EPERM))}, [(0, ENOSYS)])

    program = seccomp_tree.assemble([architecture], KILL)

    expected = ALLOW if _OPERATIONS[operator](argument, value, second) else EPERM
    assert decide(program, 7, 0, 0, 0, argument) == expected
    assert decide(program, 8) == ENOSYS


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(0, 3000), st.integers(0, 5), max_size=1500), st.integers(0, 4000))
def test_trees_of_any_size_keep_every_answer(actions: dict[int, int], other: int) -> None:
    answers = {each: (((), 0x50000 | action),) for each, action in actions.items()}
    architecture = seccomp_tree.Architecture(X86_64, answers, [(0, EPERM), (3001, ENOSYS)])

    program = seccomp_tree.assemble([architecture], KILL)

    for each in (*list(actions)[:50], other):
        expected = 0x50000 | actions[each] if each in actions else EPERM if each <= 3000 else ENOSYS
        assert decide(program, each) == expected


def test_the_default_filter_is_short(program: bytes) -> None:
    assert len(program) // 8 < 256


@pytest.mark.parametrize(
    ("profile", "error"),
    [
        ({"defaultAction": "SCMP_ACT_MAYBE"}, InvalidArgument),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, Unsupported),
        ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}, InvalidArgument),
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]}, InvalidArgument),
        ({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x.sock"}, Unsupported),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_KILL",
                        "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}],
                    }
                ],
            },
            InvalidArgument,
        ),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(profile: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        seccomp.compile(profile)


def test_32_bit_doors_open_for_the_calls_behind_them() -> None:
    rule = {"names": ["bind", "semop"], "action": "SCMP_ACT_ALLOW"}
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "syscalls": [rule]}

    program = seccomp.compile(profile)

    answers = [
        decide(program, *each, arch=X86) for each in ((102, 2), (102, 1), (117, 1), (117, 2), (361, 0), (359, 0))
    ]
    assert answers == [ALLOW, EPERM, ALLOW, EPERM, ALLOW, EPERM]


def test_unknown_names_are_passed_over() -> None:
    rule = {"names": ["no_such_call", "read"], "action": "SCMP_ACT_ALLOW"}

    program = seccomp.compile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]})

    assert decide(program, number("read")) == ALLOW
