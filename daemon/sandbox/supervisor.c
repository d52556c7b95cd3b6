/* The system calls that a supervisor of workers may make, and its workers at most. */
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>

enum {
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET
};

static const struct filter_row processes[] = {
    {.call = SCMP_SYS(clone), .when = FILTER_MASKED(0, NAMESPACES, 0)},
    {.call = SCMP_SYS(clone3), .refusal = ENOSYS}, /* its arguments can't be seen */
    {.call = SCMP_SYS(set_robust_list)},
    {.call = SCMP_SYS(rseq)},
    {.call = SCMP_SYS(wait4)},
    {.call = SCMP_SYS(kill)},
    {.call = SCMP_SYS(getppid)},
    {.call = SCMP_SYS(signalfd4)},
    {.call = SCMP_SYS(eventfd2)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_NAME)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_PDEATHSIG)},
    {.call = SCMP_SYS(prctl), .refusal = EINVAL, .when = FILTER_EQUAL(0, PR_SET_VMA)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_SETFL)},
};

/* What a worker does in its start, to confine itself further. */
static const struct filter_row preparing[] = {
    {.call = SCMP_SYS(seccomp)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_NO_NEW_PRIVS)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_DUMPABLE)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_GET_SECCOMP)},
    {.call = SCMP_SYS(prctl), .when = FILTER_EQUAL(0, PR_SET_SECCOMP)},
    {.call = SCMP_SYS(prlimit64), .when = FILTER_EQUAL(0, 0)}, /* of itself */
    {.call = SCMP_SYS(setrlimit)},
    {.call = SCMP_SYS(open), .when = FILTER_MASKED(1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)},
    {.call = SCMP_SYS(openat), .when = FILTER_MASKED(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)},
    {.call = SCMP_SYS(newfstatat)},
    {.call = SCMP_SYS(access)},
    {.call = SCMP_SYS(pread64)},
    {.call = SCMP_SYS(sched_getaffinity)},
    {.call = SCMP_SYS(ioctl), .refusal = ENOTTY}, /* libraries ask whether it is a terminal */
};

enum esign_rc sandbox_confine_supervisor(struct fault *f)
{
    const struct filter_table tables[] = {filter_common,           filter_sockets,
                                          filter_locking,          FILTER_TABLE(processes),
                                          FILTER_TABLE(preparing), {NULL, 0}};

    return filter_load(SCMP_ACT_KILL_PROCESS, tables, f);
}
