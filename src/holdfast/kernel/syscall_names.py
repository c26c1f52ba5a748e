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
