#include "cli/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

bool programs_path(const char *name, char *ret, size_t size)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

    for (int up = 0; up < 2; up++) { /* PREFIX/bin/esign: two names off */
        while (len > 0 && own[len - 1] != '/')
            len--;
        if (len <= 0)
            return false;
        len--;
    }
    int made = snprintf(ret, size, "%.*s/" ESIGN_LIBEXEC "/%s", (int)len, own, name);
    return made > 0 && (size_t)made < size;
}

bool programs_settle_in(int out_fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return null >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
           close_range(STDERR_FILENO + 1, UINT_MAX, 0) == 0;
}

/* Take a part of what a child writes.  Whether there may be more. */
static bool programs_read(int fd, struct buf *ret)
{
    char part[4096];
    ssize_t n = read(fd, part, sizeof(part));

    if (n > 0)
        buf_put(ret, bytes_of(part, (size_t)n)); /* what does not fit is seen by the caller */
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Up to the end of what the child writes, or of the child itself. */
static void programs_watch(pid_t pid, int child_fd, int signal_fd, int fd, struct buf *ret)
{
    enum { OUTPUT, SIGNAL, CHILD };
    struct pollfd events[] = {[OUTPUT] = {.fd = fd, .events = POLLIN},
                              [SIGNAL] = {.fd = signal_fd, .events = POLLIN},
                              [CHILD] = {.fd = fd < 0 ? child_fd : -1, .events = POLLIN}};

    while (events[OUTPUT].fd >= 0 || events[CHILD].fd >= 0) {
        int n = poll(events, 3, -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        if (events[SIGNAL].revents) {
            (void)kill(pid, SIGTERM); /* not yet waited for; the signal itself goes on waiting */
            events[SIGNAL] = (struct pollfd){.fd = -1};
        }
        if (events[CHILD].revents)
            return;
        if (events[OUTPUT].revents && !programs_read(fd, ret)) {
            events[OUTPUT] = (struct pollfd){.fd = -1};
            events[CHILD].fd = child_fd;
        }
    }
}

int programs_follow(pid_t pid, int fd, struct buf *ret)
{
    sigset_t held;
    int status = 0;

    (void)sigprocmask(SIG_SETMASK, NULL, &held); /* can't fail: it only asks */
    CLEANUP(close_p) int signal_fd = signalfd(-1, &held, SFD_CLOEXEC);
    CLEANUP(close_p) int child_fd = pidfd_open(pid, 0);
    programs_watch(pid, child_fd, signal_fd, fd, ret);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
