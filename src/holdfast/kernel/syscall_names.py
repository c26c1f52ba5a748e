# SPDX-License-Identifier: Apache-2.0
"""Numbers of system calls that are newer than the libseccomp of common distributions (2.5.4: Linux 5.17).

Used by `runtime.seccomp` where libseccomp does not know a name, so that a new profile means the same on an old library.
Source: arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl of Linux 6.18.
"""

# one number on every architecture
EVERYWHERE = {
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}
# x86_64 alone
X86_64_ONLY = {"uretprobe": 335, "uprobe": 336}
# 32-bit x86 makes these calls through one of two doors, and (since Linux 4.3) most of them by a number of their own:
# name -> (own number or -1, number of socketcall or ipc, first argument there); include/uapi/linux/{net,ipc}.h
X86_MULTIPLEXED = {
    "socket": (359, 102, 1),
    "bind": (361, 102, 2),
    "connect": (362, 102, 3),
    "listen": (363, 102, 4),
    "accept": (-1, 102, 5),
    "getsockname": (367, 102, 6),
    "getpeername": (368, 102, 7),
    "socketpair": (360, 102, 8),
    "send": (-1, 102, 9),
    "recv": (-1, 102, 10),
    "sendto": (369, 102, 11),
    "recvfrom": (371, 102, 12),
    "shutdown": (373, 102, 13),
    "setsockopt": (366, 102, 14),
    "getsockopt": (365, 102, 15),
    "sendmsg": (370, 102, 16),
    "recvmsg": (372, 102, 17),
    "accept4": (364, 102, 18),
    "recvmmsg": (337, 102, 19),
    "sendmmsg": (345, 102, 20),
    "semop": (-1, 117, 1),
    "semget": (393, 117, 2),
    "semctl": (394, 117, 3),
    "semtimedop": (-1, 117, 4),
    "msgsnd": (400, 117, 11),
    "msgrcv": (401, 117, 12),
    "msgget": (399, 117, 13),
    "msgctl": (402, 117, 14),
    "shmat": (397, 117, 21),
    "shmdt": (398, 117, 22),
    "shmget": (395, 117, 23),
    "shmctl": (396, 117, 24),
}
