/* The system calls that no program with a vendor's module may make. */
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>

#define REFUSED(name)                                                                              \
    {                                                                                              \
        .call = SCMP_SYS(name), .refusal = EPERM                                                   \
    }
#define REFUSED_FLAG(name, flag)                                                                   \
    {                                                                                              \
        .call = SCMP_SYS(name), .refusal = EPERM, .when = FILTER_MASKED(0, flag, flag)             \
    }

static const struct filter_row refused[] = {
    /* other programs */
    REFUSED(execve),
    REFUSED(execveat),
    /* other processes */
    REFUSED(ptrace),
    REFUSED(process_vm_readv),
    REFUSED(process_vm_writev),
    REFUSED(process_madvise),
    REFUSED(pidfd_getfd),
    REFUSED(kcmp),
    REFUSED(userfaultfd),
    /* what the tree of files looks like */
    REFUSED(mount),
    REFUSED(umount2),
    REFUSED(pivot_root),
    REFUSED(chroot),
    REFUSED(move_mount),
    REFUSED(open_tree),
    REFUSED(fsopen),
    REFUSED(fsconfig),
    REFUSED(fsmount),
    REFUSED(fspick),
    REFUSED(mount_setattr),
    REFUSED(open_by_handle_at),
    /* namespaces; clone3() can't be seen through, so libc must use clone() */
    REFUSED(unshare),
    REFUSED(setns),
    REFUSED_FLAG(clone, CLONE_NEWNS),
    REFUSED_FLAG(clone, CLONE_NEWCGROUP),
    REFUSED_FLAG(clone, CLONE_NEWUTS),
    REFUSED_FLAG(clone, CLONE_NEWIPC),
    REFUSED_FLAG(clone, CLONE_NEWUSER),
    REFUSED_FLAG(clone, CLONE_NEWPID),
    REFUSED_FLAG(clone, CLONE_NEWNET),
    {.call = SCMP_SYS(clone3), .refusal = ENOSYS},
    /* the kernel */
    REFUSED(init_module),
    REFUSED(finit_module),
    REFUSED(delete_module),
    REFUSED(kexec_load),
    REFUSED(kexec_file_load),
    REFUSED(reboot),
    REFUSED(bpf),
    REFUSED(perf_event_open),
    REFUSED(io_uring_setup), /* its calls pass by every filter */
    REFUSED(io_uring_enter),
    REFUSED(io_uring_register),
    REFUSED(iopl),
    REFUSED(ioperm),
    REFUSED(swapon),
    REFUSED(swapoff),
    REFUSED(acct),
    REFUSED(quotactl),
    REFUSED(syslog),
    REFUSED(vhangup),
    REFUSED(sethostname),
    REFUSED(setdomainname),
    REFUSED(settimeofday),
    REFUSED(clock_settime),
    /* key rings, and typing on a terminal */
    REFUSED(keyctl),
    REFUSED(add_key),
    REFUSED(request_key),
    {.call = SCMP_SYS(ioctl), .refusal = EPERM, .when = FILTER_EQUAL(1, TIOCSTI)},
};

enum esign_rc sandbox_confine_module(struct fault *f)
{
    const struct filter_table tables[] = {FILTER_TABLE(refused), {NULL, 0}};

    return filter_load(SCMP_ACT_ALLOW, tables, f);
}
