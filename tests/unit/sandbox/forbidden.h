/* Calls that a confined process may not make, and a child to try them in. */
#pragma once

#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run confine, then body, in a child; its wait status.  99: confine failed. */
static inline int forbidden_in_child(enum esign_rc (*confine)(struct fault *f), long (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (confine && confine(NULL))
            _exit(99);
        _exit(body() < 0 ? errno : 0);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static inline bool forbidden_was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static inline long forbidden_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid;
}

static inline long forbidden_vfork(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL) == 0
               ? (_exit(0), 0)
               : 0;
}

static inline long forbidden_exec(void)
{
    char *const argv[] = {NULL};
    return execve("/nonexistent", argv, argv);
}

static inline long forbidden_execveat(void)
{
    return syscall(SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH);
}

static inline long forbidden_inet(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline long forbidden_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static inline long forbidden_vsock(void)
{
    return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline long forbidden_ptrace(void)
{
    return ptrace(PTRACE_PEEKDATA, -1, NULL, NULL);
}

static inline long forbidden_read_process(void)
{
    return syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}

static inline long forbidden_kill(void)
{
    return kill(getppid(), 0);
}

static inline long forbidden_mount(void)
{
    return mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static inline long forbidden_unshare(void)
{
    return unshare(0);
}

static inline long forbidden_namespace(void)
{
    return setns(-1, 0);
}

static inline long forbidden_module(void)
{
    return syscall(SYS_finit_module, -1, "", 0);
}

static inline long forbidden_kexec(void)
{
    return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static inline long forbidden_keyring(void)
{
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0);
}

static inline long forbidden_perf(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static inline long forbidden_bpf(void)
{
    return syscall(SYS_bpf, -1, NULL, 0);
}

static inline long forbidden_uring(void)
{
    return syscall(SYS_io_uring_setup, 0, NULL);
}

static inline long forbidden_userfault(void)
{
    return syscall(SYS_userfaultfd, -1);
}

static inline long forbidden_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : 0;
}

static inline long forbidden_make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? 0 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static inline long forbidden_clock(void)
{
    const struct timespec at = {0, -1};
    return syscall(SYS_clock_settime, 0, &at);
}

static inline long forbidden_typing(void)
{
    return syscall(SYS_ioctl, -1, 0x5412 /* TIOCSTI */, "x");
}

struct forbidden_call {
    const char *name;
    long (*body)(void);
};

/* What no confined program of ours may do. */
static const struct forbidden_call forbidden_to_all[] = {
    {"execve", forbidden_exec},          {"execveat", forbidden_execveat},
    {"ptrace", forbidden_ptrace},        {"process_vm_readv", forbidden_read_process},
    {"mount", forbidden_mount},          {"unshare", forbidden_unshare},
    {"setns", forbidden_namespace},      {"finit_module", forbidden_module},
    {"kexec_load", forbidden_kexec},     {"keyctl", forbidden_keyring},
    {"perf_event_open", forbidden_perf}, {"bpf", forbidden_bpf},
    {"io_uring_setup", forbidden_uring}, {"userfaultfd", forbidden_userfault},
    {"clock_settime", forbidden_clock},
};

enum { FORBIDDEN_TO_ALL = sizeof(forbidden_to_all) / sizeof(*forbidden_to_all) };
