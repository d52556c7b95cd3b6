#include "base/worker/call.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    POOL_LANES_MAX = 64,
    POOL_NAME_MAX = 64,
    POOL_TRIES = 4, /* workers that may leave without having read a request */
};

struct pool_lane {
    int fd; /* -1: not connected */
    bool busy;
    struct buf storage; /* of the last reply; empty while not busy */
};

struct worker_pool {
    char name[POOL_NAME_MAX];
    struct sockaddr_un address; /* path empty: an adopted connection, never made again */
    unsigned lane_count;
    pthread_mutex_t mutex; /* guards next_id and, in lanes, who is busy */
    pthread_cond_t freed;
    uint32_t next_id;
    struct pool_lane lanes[POOL_LANES_MAX];
};

static struct worker_pool *pool_new(const char *name, unsigned lanes)
{
    struct worker_pool *pool = calloc(1, sizeof(*pool));
    pthread_condattr_t monotonic;

    assert(lanes >= 1 && lanes <= POOL_LANES_MAX);
    if (!pool)
        return NULL;
    (void)snprintf(pool->name, sizeof(pool->name), "%s", name); /* for texts: a cut is harmless */
    pool->lane_count = lanes;
    pool->address.sun_family = AF_UNIX;
    for (unsigned i = 0; i < lanes; i++) {
        pool->lanes[i].fd = -1;
        pool->lanes[i].storage = buf_new(FRAME_HEADER_LEN + FRAME_BODY_MAX);
    }
    /* these four fail only for wrong arguments */
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->freed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return pool;
}

enum esign_rc worker_pool_new(const char *name, const char *path, unsigned lanes,
                              struct worker_pool **ret, struct fault *f)
{
    struct sockaddr_un longest;

    if (path[0] == '\0' || strlen(path) >= sizeof(longest.sun_path))
        return fault_set(f, ESIGN_E_POLICY, "%s: the socket's path is empty or too long", name);
    if (lanes < 1 || lanes > POOL_LANES_MAX)
        return fault_set(f, ESIGN_E_POLICY, "%s: 1 to %d lanes", name, POOL_LANES_MAX);
    struct worker_pool *pool = pool_new(name, lanes);
    if (!pool)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the lanes of %s", name);
    memcpy(pool->address.sun_path, path, strlen(path) + 1);
    *ret = pool;
    return ESIGN_OK;
}

enum esign_rc worker_pool_adopt(const char *name, int fd, struct worker_pool **ret, struct fault *f)
{
    struct worker_pool *pool = pool_new(name, 1);

    if (!pool) {
        close_p(&fd);
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the lane of %s", name);
    }
    pool->lanes[0].fd = fd;
    *ret = pool;
    return ESIGN_OK;
}

static void lane_close(struct pool_lane *lane)
{
    close_p(&lane->fd);
    lane->fd = -1;
}

void worker_pool_free(struct worker_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->lane_count; i++) {
        lane_close(&pool->lanes[i]);
        buf_done(&pool->lanes[i].storage);
    }
    (void)pthread_cond_destroy(&pool->freed); /* these two fail only if somebody still waits */
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* A free lane, connected ones first; NULL: none.  With the mutex. */
static struct pool_lane *pool_find_lane(struct worker_pool *pool)
{
    struct pool_lane *found = NULL;

    for (unsigned i = 0; i < pool->lane_count; i++) {
        struct pool_lane *lane = &pool->lanes[i];
        if (!lane->busy && lane->fd >= 0)
            return lane;
        if (!lane->busy && !found)
            found = lane;
    }
    return found;
}

/* Wait for a free lane and take it.  NULL: none until the deadline. */
static struct pool_lane *pool_take_lane(struct worker_pool *pool, int64_t deadline_at_ms,
                                        uint32_t *ret_id)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_at_ms / 1000),
                                   .tv_nsec = (long)(deadline_at_ms % 1000) * 1000000};
    struct pool_lane *lane;
    int waited = 0;

    pthread_mutex_lock(&pool->mutex);
    while (!(lane = pool_find_lane(pool)) && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&pool->freed, &pool->mutex, &until);
    if (lane)
        lane->busy = true;
    *ret_id = ++pool->next_id;
    pthread_mutex_unlock(&pool->mutex);
    return lane;
}

static void pool_return_lane(struct worker_pool *pool, struct pool_lane *lane)
{
    buf_clear(&lane->storage);
    pthread_mutex_lock(&pool->mutex);
    lane->busy = false;
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->mutex);
}

static enum esign_rc pool_unreachable(const struct worker_pool *pool, const char *what,
                                      struct fault *f)
{
    int error = errno;
    enum esign_rc rc =
        fault_reason(f, ESIGN_E_HSM, "worker", "%s: %s: %s", pool->name, what, strerror(error));

    if (f)
        f->cause = (unsigned long)error;
    return rc;
}

/* Connect; a full backlog is waited for until the deadline. */
static enum esign_rc lane_connect(const struct worker_pool *pool, struct pool_lane *lane,
                                  int64_t deadline_at_ms, struct fault *f)
{
    if (pool->address.sun_path[0] == '\0')
        return fault_reason(f, ESIGN_E_HSM, "worker", "%s has ended", pool->name);
    int64_t left = deadline_at_ms - clock_mono_ms(clock_system());
    if (left <= 0)
        return fault_set(f, ESIGN_E_DEADLINE, "%s: no time left to connect", pool->name);
    const struct timeval limit = {.tv_sec = (time_t)(left / 1000),
                                  .tv_usec = (suseconds_t)(left % 1000) * 1000};
    CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
        return pool_unreachable(pool, "no socket", f);
    int rc;
    do
        rc = connect(fd, (const struct sockaddr *)&pool->address, sizeof(pool->address));
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EAGAIN)
        return fault_set(f, ESIGN_E_DEADLINE, "%s is too busy to be reached", pool->name);
    if (rc != 0)
        return pool_unreachable(pool, "can't be reached", f);
    lane->fd = TAKE_FD(fd);
    return ESIGN_OK;
}

/* Whether an idle lane's worker is still there: nothing may be waiting on it, not even an end. */
static bool lane_is_usable(const struct pool_lane *lane)
{
    struct pollfd p = {.fd = lane->fd, .events = POLLIN | POLLRDHUP};

    return lane->fd >= 0 && poll(&p, 1, 0) == 0;
}

/* The end of a lane in mid-request, told in the caller's words. */
static enum esign_rc lane_died(const struct worker_pool *pool, struct fault *f)
{
    return fault_reason(f, ESIGN_E_HSM, "worker", "%s: the worker died or was replaced in the call",
                        pool->name);
}

/* One request on one lane. */
struct lane_call {
    const struct worker_pool *pool;
    struct pool_lane *lane;
    struct frame request;
    const int *fds;
    size_t fd_count;
    int64_t deadline_at_ms;
    bool unread; /* the worker ended without having read the request */
    bool ended;  /* the lane must be closed */
};

static enum esign_rc lane_send(struct lane_call *c, struct fault *f)
{
    int64_t left = c->deadline_at_ms - clock_mono_ms(clock_system());

    if (left <= 0)
        return fault_set(f, ESIGN_E_DEADLINE, "%s: no time left to ask", c->pool->name);
    c->request.deadline_ms = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
    enum esign_rc rc =
        frame_send(c->lane->fd, &c->request, c->fds, c->fd_count, c->deadline_at_ms, f);
    if (rc != ESIGN_E_HSM)
        return rc;
    c->unread = true;
    return lane_died(c->pool, f);
}

/* What a failed wait for the reply means. */
static enum esign_rc lane_no_reply(struct lane_call *c, const struct fault *why, struct fault *f)
{
    if (why->rc == ESIGN_E_DEADLINE)
        return fault_set(f, ESIGN_E_DEADLINE, "%s did not answer in time", c->pool->name);
    if (why->rc != ESIGN_E_HSM)
        return fault_reason(f, ESIGN_E_HSM, "worker", "%s answered what is not a frame",
                            c->pool->name);
    c->unread = why->cause == ECONNRESET;
    return lane_died(c->pool, f);
}

/* Take the answer's body.  What a caller wants in locked memory is left nowhere else. */
static enum esign_rc lane_take(struct lane_call *c, const struct frame *answer, struct buf *reply,
                               struct fault *f)
{
    buf_clear(reply);
    buf_put(reply, answer->body);
    if (reply->locked)
        buf_clear(&c->lane->storage);
    return buf_ok(reply)
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_TOO_LARGE, "%s answered more than expected", c->pool->name);
}

static enum esign_rc lane_receive(struct lane_call *c, struct buf *reply, struct fault *f)
{
    struct frame answer;
    int fds[FRAME_FDS_MAX];
    struct fault why = {0};

    if (reply->locked && !c->lane->storage.locked) {
        buf_done(&c->lane->storage);
        c->lane->storage = buf_new_locked(FRAME_HEADER_LEN + FRAME_BODY_MAX);
    }
    if (frame_receive(c->lane->fd, &c->lane->storage, &answer, fds, c->deadline_at_ms, &why) !=
        ESIGN_OK)
        return lane_no_reply(c, &why, f);
    for (size_t i = 0; i < FRAME_FDS_MAX; i++)
        close_p(&fds[i]);
    if (answer.op != c->request.op || answer.id != c->request.id)
        return fault_reason(f, ESIGN_E_HSM, "worker", "%s answered another request", c->pool->name);
    c->ended = answer.last;
    if (answer.status != 0)
        return frame_get_fault(&answer, f);
    return lane_take(c, &answer, reply, f);
}

/* Ask one worker, on a new connection if the last one's worker has left. */
static enum esign_rc lane_ask(struct lane_call *c, struct buf *reply, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;

    c->unread = false;
    c->ended = true;
    if (!lane_is_usable(c->lane)) {
        lane_close(c->lane);
        rc = lane_connect(c->pool, c->lane, c->deadline_at_ms, f);
    }
    if (rc == ESIGN_OK)
        rc = lane_send(c, f);
    if (rc == ESIGN_OK)
        rc = lane_receive(c, reply, f);
    if (c->ended)
        lane_close(c->lane);
    return rc;
}

enum esign_rc worker_call(struct worker_pool *pool, uint16_t op, struct bytes body, const int *fds,
                          size_t fd_count, int64_t deadline_at_ms, struct buf *reply,
                          struct fault *f)
{
    struct lane_call call = {.pool = pool,
                             .request = {.op = op, .body = body},
                             .fds = fds,
                             .fd_count = fd_count,
                             .deadline_at_ms = deadline_at_ms};
    enum esign_rc rc = ESIGN_OK;

    if (body.len > FRAME_BODY_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "%s: a request has at most %d bytes", pool->name,
                         FRAME_BODY_MAX);
    call.lane = pool_take_lane(pool, deadline_at_ms, &call.request.id);
    if (!call.lane)
        return fault_set(f, ESIGN_E_DEADLINE, "%s: all lanes are busy", pool->name);
    for (int i = 0; i < POOL_TRIES && (i == 0 || call.unread); i++)
        rc = lane_ask(&call, reply, f);
    pool_return_lane(pool, call.lane);
    return rc;
}

enum esign_rc worker_ping(struct worker_pool *pool, int64_t deadline_at_ms, struct fault *f)
{
    CLEANUP(buf_done) struct buf reply = buf_new(1);

    return worker_call(pool, FRAME_OP_PING, (struct bytes){0}, NULL, 0, deadline_at_ms, &reply, f);
}
