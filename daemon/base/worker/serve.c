#include "base/worker/worker_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    LOOP_GO_ON = -1,
    LOOP_YIELD_MS = 10, /* a connection is left to a worker with fewer ones for so long */
    LOOP_REPLY_MS = 1000,
};

struct worker_loop {
    const struct worker_place *place;
    const struct worker_service *service;
    struct worker_slot *slot;
    int connections[WORKER_CONNECTIONS_MAX];
    size_t connection_count;
    unsigned served;
    int64_t yield_until_ms; /* until then new connections are left to the others */
    struct buf storage, reply;
};

static int64_t loop_now(void)
{
    return clock_mono_ms(clock_system());
}

bool worker_peer_allowed(int fd, uid_t caller, uid_t *ret_uid)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof(peer))
        return false;
    *ret_uid = peer.uid;
    return peer.uid == caller || peer.uid == getuid();
}

static void loop_add(struct worker_loop *loop, int fd)
{
    loop->connections[loop->connection_count++] = fd;
    atomic_store(&loop->slot->connections, (uint32_t)loop->connection_count);
}

static void loop_remove(struct worker_loop *loop, size_t index)
{
    close_p(&loop->connections[index]);
    loop->connections[index] = loop->connections[--loop->connection_count];
    atomic_store(&loop->slot->connections, (uint32_t)loop->connection_count);
}

/* Whether a worker that would still have fewer connections than this one, with `more` further ones,
 * is waiting for something to do. */
static bool loop_other_is_freer(const struct worker_loop *loop, unsigned more)
{
    const struct worker_page *page = loop->place->page;

    for (unsigned i = 0; i < loop->service->workers; i++) {
        const struct worker_slot *other = &page->slots[i];
        if (atomic_load(&other->ready) && atomic_load(&other->busy_until_ms) == 0 &&
            atomic_load(&other->connections) + more < loop->connection_count)
            return true;
    }
    return false;
}

/* A process that serves one request takes one connection. */
static bool loop_may_accept(const struct worker_loop *loop)
{
    size_t most = loop->service->requests_each > 0 ? 1 : WORKER_CONNECTIONS_MAX;

    return loop->place->listen_fd >= 0 && loop->connection_count < most;
}

static void loop_accept(struct worker_loop *loop)
{
    uid_t uid = (uid_t)-1;

    if (loop->yield_until_ms == 0 && loop_other_is_freer(loop, 0)) {
        loop->yield_until_ms = loop_now() + LOOP_YIELD_MS;
        return;
    }
    loop->yield_until_ms = 0;
    CLEANUP(close_p) int fd = accept4(loop->place->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return; /* another worker was faster, or the caller has gone */
    if (!worker_peer_allowed(fd, loop->service->caller_uid, &uid)) {
        log_warn("caller refused service=%s uid=%ld", loop->service->name, (long)uid);
        return;
    }
    loop_add(loop, TAKE_FD(fd));
}

static int loop_check(struct worker_loop *loop)
{
    return loop->service->check ? loop->service->check(loop->service->ctx) : LOOP_GO_ON;
}

/* Run the service on one request; the reply's body is left in loop->reply. */
static uint32_t loop_answer(struct worker_loop *loop, const struct worker_request *request)
{
    const struct worker_service *service = loop->service;
    struct fault fault = {0};
    enum esign_rc rc = ESIGN_OK;

    if (request->frame->op != FRAME_OP_PING)
        rc = service->serve(service->ctx, request, &loop->reply, &fault);
    if (rc == ESIGN_OK && !buf_ok(&loop->reply))
        rc = fault_set(&fault, ESIGN_E_TOO_LARGE, "the answer is larger than a frame");
    if (rc == ESIGN_OK) {
        atomic_fetch_add(&loop->slot->answered, 1);
        return 0;
    }
    buf_clear(&loop->reply);
    frame_put_fault(&loop->reply, &fault);
    return (uint32_t)rc;
}

/* Serve the request that was received on fd; returns an exit code or LOOP_GO_ON.  *ret_keep: the
 * connection stays. */
static int loop_serve(struct worker_loop *loop, int fd, const struct frame *frame, const int *fds,
                      bool *ret_keep)
{
    uint32_t left =
        frame->deadline_ms > WORKER_DEADLINE_MAX_MS ? WORKER_DEADLINE_MAX_MS : frame->deadline_ms;
    const struct worker_request request = {frame, fds, loop_now() + left};
    struct frame reply = {.op = frame->op, .id = frame->id};
    struct pollfd caller = {.fd = fd, .events = POLLRDHUP};

    *ret_keep = false;
    if (poll(&caller, 1, 0) != 0) /* nobody waits for the answer any more */
        return LOOP_GO_ON;
    atomic_store(&loop->slot->busy_until_ms, request.deadline_at_ms);
    reply.status = loop_answer(loop, &request);
    int code = loop_check(loop);
    loop->served++;
    if (code == LOOP_GO_ON && loop->service->requests_each > 0 &&
        loop->served >= loop->service->requests_each)
        code = WORKER_EXIT_DONE;
    /* a worker that has taken the place of another has nobody's connection yet */
    reply.last = code != LOOP_GO_ON || loop_other_is_freer(loop, 1);
    reply.body = buf_bytes(&loop->reply);
    int64_t reply_until_ms = loop_now() + LOOP_REPLY_MS;
    atomic_store(&loop->slot->busy_until_ms, reply_until_ms);
    *ret_keep = frame_send(fd, &reply, NULL, 0, reply_until_ms, NULL) == ESIGN_OK && !reply.last;
    return code;
}

/* One frame of a readable connection. */
static int loop_receive(struct worker_loop *loop, size_t index)
{
    int fd = loop->connections[index], code = LOOP_GO_ON;
    int fds[FRAME_FDS_MAX];
    struct frame frame;
    struct fault fault = {0};
    bool keep = false;

    enum esign_rc rc = frame_receive(fd, &loop->storage, &frame, fds, loop_now(), &fault);
    if (rc == ESIGN_OK)
        code = loop_serve(loop, fd, &frame, fds, &keep);
    else if (rc != ESIGN_E_HSM)
        log_warn("connection dropped service=%s: %s", loop->service->name, fault.detail);
    for (size_t i = 0; i < FRAME_FDS_MAX; i++)
        close_p(&fds[i]);
    buf_clear(&loop->storage);
    buf_clear(&loop->reply);
    if (!keep)
        loop_remove(loop, index);
    atomic_store(&loop->slot->busy_until_ms, 0);
    return code;
}

/* How long to wait for events. */
static int loop_timeout(const struct worker_loop *loop)
{
    if (loop->yield_until_ms > 0)
        return LOOP_YIELD_MS;
    return loop->service->check ? WORKER_CHECK_MS : -1;
}

/* Wait once and do what came; returns an exit code or LOOP_GO_ON. */
static int loop_turn(struct worker_loop *loop)
{
    struct pollfd events[WORKER_CONNECTIONS_MAX + 2];
    size_t count = loop->connection_count;
    bool accepting = loop_may_accept(loop) && loop_now() >= loop->yield_until_ms;

    for (size_t i = 0; i < count; i++)
        events[i] = (struct pollfd){.fd = loop->connections[i], .events = POLLIN};
    events[count] = (struct pollfd){.fd = loop->place->stop_fd, .events = POLLIN};
    events[count + 1] =
        (struct pollfd){.fd = accepting ? loop->place->listen_fd : -1, .events = POLLIN};
    int n = poll(events, count + 2, loop_timeout(loop));
    if (n < 0)
        return errno == EINTR ? LOOP_GO_ON : WORKER_EXIT_FAILED;
    if (events[count].revents)
        return WORKER_EXIT_DONE;
    for (size_t i = count; i-- > 0;) { /* downwards: a removed one is replaced by a later one */
        int code = events[i].revents ? loop_receive(loop, i) : LOOP_GO_ON;
        if (code != LOOP_GO_ON)
            return code;
    }
    if (events[count + 1].revents)
        loop_accept(loop);
    else if (n == 0 && accepting)
        loop->yield_until_ms = 0;
    return loop->place->listen_fd < 0 && loop->connection_count == 0 ? WORKER_EXIT_DONE
                                                                     : LOOP_GO_ON;
}

/* Tell the supervisor that start() is over. */
static void loop_ready(const struct worker_loop *loop)
{
    atomic_store(&loop->slot->ready, 1);
    atomic_store(&loop->slot->busy_until_ms, 0);
    if (loop->place->ready_fd >= 0)
        (void)eventfd_write(loop->place->ready_fd, 1); /* full: the supervisor wakes anyway */
}

int worker_run(const struct worker_place *place)
{
    struct worker_loop loop = {.place = place,
                               .service = place->service,
                               .slot = &place->page->slots[place->index],
                               .storage = place->service->has_secrets
                                              ? buf_new_locked(FRAME_HEADER_LEN + FRAME_BODY_MAX)
                                              : buf_new(FRAME_HEADER_LEN + FRAME_BODY_MAX),
                               .reply = place->service->has_secrets ? buf_new_locked(FRAME_BODY_MAX)
                                                                    : buf_new(FRAME_BODY_MAX)};
    const struct worker_service *service = place->service;
    struct fault fault = {0};

    if (service->start && service->start(service->ctx, &place->how, &fault) != ESIGN_OK) {
        log_error("worker can't start service=%s: %s", service->name, fault.detail);
        return WORKER_EXIT_FAILED;
    }
    if (place->connection_fd >= 0)
        loop_add(&loop, place->connection_fd);
    int code = loop_check(&loop);
    if (code == LOOP_GO_ON)
        loop_ready(&loop);
    while (code == LOOP_GO_ON) {
        code = loop_turn(&loop);
        if (code == LOOP_GO_ON)
            code = loop_check(&loop);
    }
    while (loop.connection_count > 0) /* callers with an unread request learn it at once */
        loop_remove(&loop, 0);
    atomic_store(&loop.slot->busy_until_ms, loop_now() + WORKER_STOP_MS);
    if (service->stop)
        service->stop(service->ctx);
    buf_done(&loop.storage);
    buf_done(&loop.reply);
    return code;
}

int worker_serve_once(int connection_fd, const struct worker_service *service)
{
    struct worker_page page = {0};
    int own_fd = fcntl(connection_fd, F_DUPFD_CLOEXEC, 0);
    const struct worker_place place = {.service = service,
                                       .page = &page,
                                       .listen_fd = -1,
                                       .connection_fd = own_fd,
                                       .ready_fd = -1,
                                       .stop_fd = -1,
                                       .how = {.may_login = true}};

    return own_fd < 0 ? WORKER_EXIT_FAILED : worker_run(&place);
}
