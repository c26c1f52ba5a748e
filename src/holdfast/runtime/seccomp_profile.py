# SPDX-License-Identifier: Apache-2.0
"""The default seccomp profile as data: which system calls a container may make.

An allow list: what is not named fails with EPERM. Facts: github.com/moby/profiles seccomp/default.json of June 2026
(AF_ALG blocked since April 2026, CVE-2026-31431). `runtime.seccomp.default_profile` makes an OCI object of it.
The 32-bit twins (`chown32`, `clock_gettime64`) stand beside their names: x86 and x32 are filtered too.
"""

ALWAYS = (
    # files: open, read, write, seek, close
    "open openat openat2 creat read pread64 readv preadv preadv2 write pwrite64 writev pwritev pwritev2 lseek _llseek "
    "close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl copy_file_range sendfile sendfile64 splice tee vmsplice "
    "sync syncfs fsync fdatasync sync_file_range truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 "
    "fadvise64_64 readahead cachestat pipe pipe2 memfd_create memfd_secret name_to_handle_at "
    # files: names, attributes, directories
    "access faccessat faccessat2 stat stat64 fstat fstat64 lstat lstat64 fstatat64 newfstatat statx statfs statfs64 "
    "fstatfs fstatfs64 statmount listmount chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 "
    "fchownat utime utimes futimesat utimensat utimensat_time64 umask link linkat symlink symlinkat readlink readlinkat "
    "unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat chdir fchdir getcwd getdents getdents64 "
    "setxattr lsetxattr fsetxattr setxattrat getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr "
    "listxattrat removexattr lremovexattr fremovexattr removexattrat "
    # waiting on files
    "select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 inotify_init inotify_init1 "
    "inotify_add_watch inotify_rm_watch fanotify_mark io_setup io_destroy io_submit io_cancel io_getevents "
    "io_pgetevents io_pgetevents_time64 "
    # memory
    "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall "
    "remap_file_pages membarrier pkey_alloc pkey_free pkey_mprotect map_shadow_stack mseal "
    # processes and threads
    "fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid "
    "getsid setsid set_tid_address get_robust_list set_robust_list get_thread_area set_thread_area prctl "
    "restart_syscall pidfd_open pidfd_send_signal process_mrelease rseq seccomp uretprobe riscv_hwprobe "
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self "
    # who one is
    "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 "
    "getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 "
    "setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset "
    # signals
    "kill tkill tgkill pause alarm sigaltstack sigprocmask sigreturn signalfd signalfd4 rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    # time
    "time times gettimeofday nanosleep clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 adjtimex getitimer setitimer timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 "
    # scheduling and limits
    "sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler "
    "sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_yield getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64 getrusage getcpu "
    # talking: sockets, queues, shared memory, futexes
    "socketcall socketpair bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt "
    "send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 ipc msgctl msgget msgrcv msgsnd semctl "
    "semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink futex futex_time64 futex_waitv futex_wake "
    "futex_wait futex_requeue "
    # the machine
    "uname sysinfo getrandom"
)

# from Linux 4.8 on ptrace(2) cannot slip past seccomp; holdfast needs 5.15
TRACING = "process_vm_readv process_vm_writev ptrace"

# socket(2) families: all but AF_ALG (38, kernel crypto) and AF_VSOCK (40, reaches the hypervisor)
SOCKET_FAMILIES = ((38, "SCMP_CMP_LT"), (39, "SCMP_CMP_EQ"), (40, "SCMP_CMP_GT"))

# personality(2): native, PER_LINUX32, UNAME26 of both, and the question 0xffffffff
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)

# clone(2) without any new namespace: CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
CLONE_NAMESPACES = 0x7E020000

BY_ARCHITECTURE = (
    (("amd64", "x32"), "arch_prctl"),
    (("amd64", "x32", "x86"), "modify_ldt"),
    (
        ("arm", "arm64"),
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    ),
    (("ppc64le",), "sync_file_range2 swapcontext"),
    (("s390", "s390x"), "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    (("riscv64",), "riscv_flush_icache"),
)

BY_CAPABILITY = (
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules "
        "lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
        "sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
)

# machine name -> the profile's word for it, and the architectures whose calls are judged
ARCHITECTURES = {
    "x86_64": ("amd64", ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")),
    "aarch64": ("arm64", ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")),
    "riscv64": ("riscv64", ("SCMP_ARCH_RISCV64",)),
    "s390x": ("s390x", ("SCMP_ARCH_S390X", "SCMP_ARCH_S390")),
    "loongarch64": ("loong64", ("SCMP_ARCH_LOONGARCH64",)),
    "ppc64le": ("ppc64le", ()),
}
