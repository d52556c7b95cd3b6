#include "sandbox/filter.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)

static const struct filter_row common[] = {
    /* memory, which never becomes executable */
    {.call = SCMP_SYS(brk)},
    {.call = SCMP_SYS(munmap)},
    {.call = SCMP_SYS(mremap)},
    {.call = SCMP_SYS(madvise)},
    {.call = SCMP_SYS(mmap), .when = FILTER_MASKED(2, PROT_EXEC, 0)},
    {.call = SCMP_SYS(mprotect), .when = FILTER_MASKED(2, PROT_EXEC, 0)},
    /* open descriptors and connections */
    {.call = SCMP_SYS(read)},
    {.call = SCMP_SYS(readv)},
    {.call = SCMP_SYS(write)},
    {.call = SCMP_SYS(writev)},
    {.call = SCMP_SYS(close)},
    {.call = SCMP_SYS(recvmsg)},
    {.call = SCMP_SYS(recvfrom)},
    {.call = SCMP_SYS(sendmsg)},
    {.call = SCMP_SYS(sendto), .when = FILTER_EQUAL(4, 0)}, /* only where the connection leads */
    {.call = SCMP_SYS(accept4)},
    {.call = SCMP_SYS(getsockopt)},
    {.call = SCMP_SYS(shutdown)},
    {.call = SCMP_SYS(poll)},
    {.call = SCMP_SYS(ppoll)},
    {.call = SCMP_SYS(fstat)},
    {.call = SCMP_SYS(newfstatat), .when = FILTER_MASKED(3, AT_EMPTY_PATH, AT_EMPTY_PATH)},
    {.call = SCMP_SYS(lseek)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_GETFD)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_SETFD)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_GETFL)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_DUPFD_CLOEXEC)},
    /* time, waiting, random bytes */
    {.call = SCMP_SYS(clock_gettime)},
    {.call = SCMP_SYS(gettimeofday)},
    {.call = SCMP_SYS(clock_nanosleep)},
    {.call = SCMP_SYS(nanosleep)},
    {.call = SCMP_SYS(futex)},
    {.call = SCMP_SYS(sched_yield)},
    {.call = SCMP_SYS(getrandom)},
    /* who am I, signals, the end */
    {.call = SCMP_SYS(getpid)},
    {.call = SCMP_SYS(gettid)},
    {.call = SCMP_SYS(getuid)},
    {.call = SCMP_SYS(geteuid)},
    {.call = SCMP_SYS(rt_sigaction)},
    {.call = SCMP_SYS(rt_sigprocmask)},
    {.call = SCMP_SYS(rt_sigreturn)},
    {.call = SCMP_SYS(restart_syscall)},
    {.call = SCMP_SYS(tgkill)},
    {.call = SCMP_SYS(exit)},
    {.call = SCMP_SYS(exit_group)},
#if defined ESIGN_SANITIZE || defined __SANITIZE_THREAD__
    {.call = SCMP_SYS(sigaltstack)},
    {.call = SCMP_SYS(readlink)},
    {.call = SCMP_SYS(getrlimit)},
    {.call = SCMP_SYS(prlimit64)},
#endif
};
const struct filter_table filter_common = FILTER_TABLE(common);

static const struct filter_row threads[] = {
    {.call = SCMP_SYS(clone), .when = FILTER_MASKED(0, CLONE_THREAD, CLONE_THREAD)},
    {.call = SCMP_SYS(clone3), .refusal = ENOSYS},
    {.call = SCMP_SYS(set_robust_list)},
    {.call = SCMP_SYS(rseq)},
    {.call = SCMP_SYS(sched_getaffinity)},
    {.call = SCMP_SYS(prlimit64), .when = FILTER_EQUAL(2, 0)}, /* asks only */
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_NAME)},
    /* libc names its memory; if it can't, it goes on */
    {.call = SCMP_SYS(prctl), .refusal = EINVAL, .when = FILTER_EQUAL(0, PR_SET_VMA)},
};
const struct filter_table filter_threads = FILTER_TABLE(threads);

static const struct filter_row sockets[] = {
    {.call = SCMP_SYS(socket), .when = FILTER_EQUAL(0, AF_UNIX)},
    {.call = SCMP_SYS(connect)},
    {.call = SCMP_SYS(bind)},
    {.call = SCMP_SYS(listen)},
    {.call = SCMP_SYS(sendto)},
    {.call = SCMP_SYS(setsockopt)},
    {.call = SCMP_SYS(getsockname)},
    {.call = SCMP_SYS(getpeername)},
};
const struct filter_table filter_sockets = FILTER_TABLE(sockets);

static const struct filter_row locking[] = {
    {.call = SCMP_SYS(mlock)},
    {.call = SCMP_SYS(mlock2)},
    {.call = SCMP_SYS(mlockall)},
    {.call = SCMP_SYS(munlock)},
};
const struct filter_table filter_locking = FILTER_TABLE(locking);

static bool filter_add(scmp_filter_ctx filter, const struct filter_row *row)
{
    uint32_t action = row->refusal ? SCMP_ACT_ERRNO((uint32_t)row->refusal) : SCMP_ACT_ALLOW;

    return seccomp_rule_add_array(filter, action, row->call, row->when.op ? 1 : 0, &row->when) == 0;
}

enum esign_rc filter_load(uint32_t otherwise, const struct filter_table *tables, struct fault *f)
{
    CLEANUP(seccomp_release_p)
    scmp_filter_ctx filter = seccomp_init(otherwise);
    bool good = filter &&
                seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
                seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0;
    for (; good && tables->count > 0; tables++)
        for (size_t i = 0; good && i < tables->count; i++)
            good = filter_add(filter, &tables->rows[i]);
    int rc = good ? seccomp_load(filter) : 0;
    if (!good || rc != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)-rc,
                           "the system call filter can't be loaded");
    return ESIGN_OK;
}
