/* The system calls that esignd may make. */
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>

static const struct filter_row files[] = {
    {.call = SCMP_SYS(open)},
    {.call = SCMP_SYS(openat)},
    {.call = SCMP_SYS(stat)},
    {.call = SCMP_SYS(lstat)},
    {.call = SCMP_SYS(newfstatat)},
    {.call = SCMP_SYS(statx)},
    {.call = SCMP_SYS(statfs)},
    {.call = SCMP_SYS(fstatfs)},
    {.call = SCMP_SYS(access)},
    {.call = SCMP_SYS(faccessat)},
    {.call = SCMP_SYS(faccessat2)},
    {.call = SCMP_SYS(readlink)},
    {.call = SCMP_SYS(readlinkat)},
    {.call = SCMP_SYS(getcwd)},
    {.call = SCMP_SYS(getdents64)},
    {.call = SCMP_SYS(pread64)},
    {.call = SCMP_SYS(pwrite64)},
    {.call = SCMP_SYS(ftruncate)},
    {.call = SCMP_SYS(fallocate)},
    {.call = SCMP_SYS(fsync)},
    {.call = SCMP_SYS(fdatasync)},
    {.call = SCMP_SYS(flock)},
    {.call = SCMP_SYS(fchmod)},
    {.call = SCMP_SYS(fchown)}, /* SQLite, where it is run as root */
    {.call = SCMP_SYS(unlink)},
    {.call = SCMP_SYS(unlinkat)},
    {.call = SCMP_SYS(umask)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_SETFL)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_GETLK)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_SETLK)},
    {.call = SCMP_SYS(fcntl), .when = FILTER_EQUAL(1, F_SETLKW)},
    {.call = SCMP_SYS(ioctl), .refusal = ENOTTY}, /* libraries ask whether it is a terminal */
};

static const struct filter_row waiting[] = {
    {.call = SCMP_SYS(eventfd2)},
    {.call = SCMP_SYS(signalfd4)},
    {.call = SCMP_SYS(timerfd_create)},
    {.call = SCMP_SYS(timerfd_settime)},
    {.call = SCMP_SYS(rt_sigtimedwait)},
    {.call = SCMP_SYS(clock_getres)},
    /* the state of the clock; without CAP_SYS_TIME these set nothing */
    {.call = SCMP_SYS(adjtimex)},
    {.call = SCMP_SYS(clock_adjtime)},
};

static const struct filter_row facts[] = {
    {.call = SCMP_SYS(getppid)},   {.call = SCMP_SYS(getgid)}, {.call = SCMP_SYS(getegid)},
    {.call = SCMP_SYS(getgroups)}, {.call = SCMP_SYS(uname)},  {.call = SCMP_SYS(sysinfo)},
    {.call = SCMP_SYS(getrusage)}, {.call = SCMP_SYS(times)},  {.call = SCMP_SYS(getcpu)},
    {.call = SCMP_SYS(time)},
};

enum esign_rc sandbox_confine_daemon(struct fault *f)
{
    const struct filter_table tables[] = {
        filter_common,       filter_threads,        filter_sockets,      filter_locking,
        FILTER_TABLE(files), FILTER_TABLE(waiting), FILTER_TABLE(facts), {NULL, 0}};

    return filter_load(SCMP_ACT_KILL_PROCESS, tables, f);
}
