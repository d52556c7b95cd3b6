#include "listen/accept.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"

enum {
    ACCEPT_GROUPS_MAX = 65536, /* NGROUPS_MAX of Linux */
    ACCEPT_GROUPS_USUAL = 64,
    ACCEPT_PAUSE_MS = 100 /* when no descriptor is left, or worse */
};

struct accept {
    struct accept_options options;
    pthread_t thread;
    int stop_fd; /* eventfd */
    atomic_uint_fast64_t accepted, refused, full;
};

static void accept_tally(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Supplementary groups at the time of connect().  ret_groups: usual or a new array that the caller
 * frees through *ret_owned. */
static bool accept_groups(int fd, gid_t usual[ACCEPT_GROUPS_USUAL], gid_t **ret_owned,
                          size_t *ret_count)
{
    socklen_t len = ACCEPT_GROUPS_USUAL * sizeof(gid_t);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, usual, &len) == 0) {
        *ret_count = len / sizeof(gid_t);
        return true;
    }
    if (errno != ERANGE || len > ACCEPT_GROUPS_MAX * sizeof(gid_t))
        return false;
    CLEANUP(free_p) gid_t *groups = malloc(len);
    if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        return false;
    *ret_owned = TAKE(groups);
    *ret_count = len / sizeof(gid_t);
    return true;
}

/* Whether the caller is registered; ret_credentials is set as far as the kernel told. */
static bool accept_decide(const struct accept *a, int fd, struct ucred *ret_credentials,
                          struct api_peer *ret)
{
    gid_t usual[ACCEPT_GROUPS_USUAL];
    CLEANUP(free_p) gid_t *owned = NULL;
    size_t count = 0;
    socklen_t len = sizeof(*ret_credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_credentials, &len) != 0 ||
        !accept_groups(fd, usual, &owned, &count))
        return false;
    const struct listen_credentials who = {.uid = ret_credentials->uid,
                                           .gid = ret_credentials->gid,
                                           .groups = owned ? owned : usual,
                                           .group_count = count};
    return a->options.listen->decide(a->options.listen->ctx, &who, ret);
}

#define ACCEPT_BUSY                                                                                \
    "{\"type\":\"about:blank\",\"title\":\"the service is at its limit; try "                      \
    "again\",\"status\":503,"                                                                      \
    "\"code\":\"E_BUSY\",\"detail\":\"no connection is free for this caller\",\"retryable\":true}"
static_assert(sizeof(ACCEPT_BUSY) - 1 == 166, "the length stands in the head below");

static void accept_send_busy(int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: application/problem+json\r\n"
                               "Content-Length: 166\r\n"
                               "Cache-Control: no-store\r\n"
                               "Retry-After: 1\r\n"
                               "Connection: close\r\n\r\n" ACCEPT_BUSY;

    (void)send(fd, busy, sizeof(busy) - 1,
               MSG_DONTWAIT | MSG_NOSIGNAL); /* a courtesy: the connection is closed either way */
}

static void accept_serve(struct accept *a, int accepted_fd)
{
    CLEANUP(close_p) int fd = accepted_fd;
    struct ucred credentials = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    struct api_peer peer = {0};

    if (!accept_decide(a, fd, &credentials, &peer)) {
        accept_tally(&a->refused);
        deadline_note_refused(a->options.deadline, credentials.uid, credentials.gid);
        return;
    }
    struct table_row *row = table_add(a->options.table, fd, &peer);
    if (!row) {
        accept_tally(&a->full);
        accept_send_busy(fd);
        return;
    }
    accept_tally(&a->accepted);
    fd = -1; /* the row's, and the library's from here on */
    http_add(a->options.http, row);
    deadline_wake(a->options.deadline);
}

static void *accept_run(void *ctx)
{
    struct accept *a = ctx;
    struct pollfd fds[2] = {{.fd = a->stop_fd, .events = POLLIN},
                            {.fd = a->options.listen->fd, .events = POLLIN}};

    for (;;) {
        fds[0].revents = fds[1].revents = 0;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            log_error("poll fails in the accept thread errno=%d", errno);
        if (fds[0].revents)
            return NULL;
        if (!fds[1].revents)
            continue; /* the listening socket may block */
        int fd = accept4(a->options.listen->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            accept_serve(a, fd);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            log_error("no connection can be accepted errno=%d", errno);
            (void)poll(fds, 1, ACCEPT_PAUSE_MS); /* a stop ends the pause; so does time */
        }
    }
}

static void accept_free(struct accept *a)
{
    close_p(&a->stop_fd);
    free(a);
}
DEFINE_CLEANUP(struct accept *, accept_free)

enum esign_rc accept_start(const struct accept_options *options, struct accept **ret,
                           struct fault *f)
{
    CLEANUP(accept_free_p) struct accept *a = calloc(1, sizeof(*a));

    if (!a)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the accept thread");
    a->options = *options;
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->stop_fd < 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no event descriptor");
    int rc = pthread_create(&a->thread, NULL, accept_run, a);
    if (rc != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)rc, "no accept thread");
    *ret = TAKE(a);
    return ESIGN_OK;
}

struct accept_counts accept_count(const struct accept *a)
{
    return (struct accept_counts){
        .accepted = atomic_load_explicit(&a->accepted, memory_order_relaxed),
        .refused = atomic_load_explicit(&a->refused, memory_order_relaxed),
        .full = atomic_load_explicit(&a->full, memory_order_relaxed)};
}

void accept_stop(struct accept *a)
{
    if (!a)
        return;
    (void)eventfd_write(a->stop_fd, 1);  /* fails only if it was written 2^64 times */
    (void)pthread_join(a->thread, NULL); /* it is ours and was not joined before */
    accept_free(a);
}
