/* A helper for tests: a supervisor with workers that do what a request asks, good or bad. */
#pragma once

#include "base/clock.h"
#include "base/reader.h"
#include "base/worker/call.h"
#include "base/worker/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "req.h"

enum helper_op {
    HELPER_ECHO = 1, /* the body comes back */
    HELPER_PID,      /* u32 */
    HELPER_HANG,     /* never answers, deaf to everything but SIGKILL */
    HELPER_CRASH,
    HELPER_REFUSE,      /* answers an error */
    HELPER_SLEEP,       /* 400 ms, then an empty answer */
    HELPER_COUNT,       /* adds one to the shared counter */
    HELPER_LEAVE,       /* answers, then ends with WORKER_EXIT_DONE */
    HELPER_READ,        /* reads 5 bytes from the descriptor that came */
    HELPER_SLEEP_CRASH, /* 400 ms, then it dies */
    HELPER_LARGE,       /* answers more than a frame holds */
};

enum { HELPER_STARTS_MAX = 64, HELPER_WAIT_MS = 30 * 1000, HELPER_SLEEP_MS = 400 };

/* What the test and all workers see. */
struct helper_page {
    _Atomic unsigned starts, logins, count, stops, sleeping;
    _Atomic int64_t started_at_ms[HELPER_STARTS_MAX];
    _Atomic int start_fails; /* so many starts fail */
    _Atomic int refuse_pin;  /* starts that may log in end with WORKER_EXIT_NO_PIN */
};

struct helper {
    char path[64];
    pid_t supervisor;
    int alive_fd; /* at its end when no process of the helper lives */
    struct helper_page *page;
    struct worker_pool *pool;
    struct worker_service service;
    int exit_code; /* in a worker: what check() says */
    bool no_pin;
};

static inline int64_t helper_now(void)
{
    return clock_mono_ms(clock_system());
}

static inline void helper_pause(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&ts, &ts) != 0)
        ;
}

static inline enum esign_rc helper_start_worker(void *ctx, const struct worker_start *how,
                                                struct fault *f)
{
    struct helper *h = ctx;
    unsigned n = atomic_fetch_add(&h->page->starts, 1);

    if (n < HELPER_STARTS_MAX)
        atomic_store(&h->page->started_at_ms[n], helper_now());
    if (how->may_login)
        atomic_fetch_add(&h->page->logins, 1);
    if (atomic_fetch_sub(&h->page->start_fails, 1) > 0)
        return fault_set(f, ESIGN_E_INTERNAL, "told to fail");
    h->exit_code = how->may_login && atomic_load(&h->page->refuse_pin) ? WORKER_EXIT_NO_PIN : -1;
    h->no_pin = !how->may_login;
    return ESIGN_OK;
}

static inline void helper_read(const struct worker_request *request, struct buf *reply)
{
    uint8_t *room = buf_reserve(reply, 5);

    if (!room || read(request->fds[0], room, 5) != 5)
        abort();
}

static inline enum esign_rc helper_serve(void *ctx, const struct worker_request *request,
                                         struct buf *reply, struct fault *f)
{
    struct helper *h = ctx;

    if (h->no_pin)
        return fault_reason(f, ESIGN_E_HSM, "pin", "no");
    switch ((enum helper_op)request->frame->op) {
    case HELPER_ECHO:
        buf_put(reply, request->frame->body);
        break;
    case HELPER_PID:
        buf_put_u32(reply, (uint32_t)getpid());
        break;
    case HELPER_HANG:
        for (;;)
            (void)pause();
    case HELPER_CRASH:
        (void)raise(SIGKILL);
        break;
    case HELPER_REFUSE:
        return fault_field(f, ESIGN_E_CONFLICT, "member", "in another state");
    case HELPER_SLEEP:
        atomic_fetch_add(&h->page->sleeping, 1);
        helper_pause(HELPER_SLEEP_MS);
        break;
    case HELPER_SLEEP_CRASH:
        atomic_fetch_add(&h->page->sleeping, 1);
        helper_pause(HELPER_SLEEP_MS);
        (void)raise(SIGKILL);
        break;
    case HELPER_COUNT:
        atomic_fetch_add(&h->page->count, 1);
        break;
    case HELPER_LEAVE:
        h->exit_code = WORKER_EXIT_DONE;
        break;
    case HELPER_READ:
        helper_read(request, reply);
        break;
    case HELPER_LARGE:
        (void)buf_reserve(reply, FRAME_BODY_MAX + 1);
        break;
    }
    return ESIGN_OK;
}

static inline int helper_check(void *ctx)
{
    struct helper *h = ctx;

    return h->exit_code;
}

static inline void helper_stop(void *ctx)
{
    struct helper *h = ctx;

    atomic_fetch_add(&h->page->stops, 1);
}

/* A helper that is not yet running, for the test to change its service. */
static inline void helper_new(struct helper *h)
{
    *h = (struct helper){.alive_fd = -1, .exit_code = -1};
    (void)snprintf(h->path, sizeof(h->path), "/tmp/esign-worker-XXXXXX");
    assert_non_null(mkdtemp(h->path));
    (void)snprintf(h->path + strlen(h->path), 8, "/sock");
    h->page =
        mmap(NULL, sizeof(*h->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(h->page != MAP_FAILED);
    h->service = (struct worker_service){
        .name = "helper",
        .workers = 2,
        .grace_ms = 100,
        .caller_uid = getuid(),
        .start = helper_start_worker,
        .serve = helper_serve,
        .check = helper_check,
        .stop = helper_stop,
        .ctx = h,
    };
}

/* Run the supervisor in a child; as: its user, if this test may change it. */
static inline void helper_run(struct helper *h, uid_t as)
{
    int ends[2], listen_fd = -1;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(worker_listen(h->path, SOCK_SEQPACKET, 0600, &listen_fd, NULL), ESIGN_OK);
    pid_t parent = getpid();
    h->supervisor = fork();
    assert_true(h->supervisor >= 0);
    if (h->supervisor == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || close(ends[0]) != 0 || (as != getuid() && setuid(as) != 0))
            _exit(99);
        _exit(worker_supervise(listen_fd, &h->service));
    }
    (void)close(ends[1]);
    (void)close(listen_fd);
    h->alive_fd = ends[0];
    assert_int_equal(worker_pool_new("helper", h->path, 4, &h->pool, NULL), ESIGN_OK);
}

/* Whether no process of the helper lives, within the bound. */
static inline bool helper_is_gone(const struct helper *h)
{
    struct pollfd p = {.fd = h->alive_fd, .events = POLLIN};

    return poll(&p, 1, HELPER_WAIT_MS) == 1;
}

static inline int helper_wait(struct helper *h)
{
    int status = 0;

    assert_int_equal(waitpid(h->supervisor, &status, 0), h->supervisor);
    h->supervisor = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void helper_done(struct helper *h)
{
    worker_pool_free(h->pool);
    if (h->supervisor > 0) {
        assert_int_equal(kill(h->supervisor, SIGTERM), 0);
        assert_int_equal(helper_wait(h), 0);
        assert_true(helper_is_gone(h));
    }
    if (h->alive_fd >= 0)
        (void)close(h->alive_fd);
    (void)munmap(h->page, sizeof(*h->page));
    (void)unlink(h->path);
    *strrchr(h->path, '/') = '\0';
    (void)rmdir(h->path);
}

static inline enum esign_rc helper_ask(struct helper *h, enum helper_op op, int64_t ms,
                                       struct fault *f)
{
    struct buf reply = buf_new(64);
    enum esign_rc rc = worker_call(h->pool, (uint16_t)op, (struct bytes){0}, NULL, 0,
                                   helper_now() + ms, &reply, f);

    buf_done(&reply);
    return rc;
}

/* The process that answers; 0: none did. */
static inline pid_t helper_pid(struct helper *h)
{
    struct buf reply = buf_new(64);
    pid_t pid = 0;

    if (worker_call(h->pool, HELPER_PID, (struct bytes){0}, NULL, 0, helper_now() + HELPER_WAIT_MS,
                    &reply, NULL) == ESIGN_OK) {
        struct reader r = reader_of(buf_bytes(&reply));
        pid = (pid_t)reader_u32(&r);
    }
    buf_done(&reply);
    return pid;
}

/* Wait until a shared number is at least wanted. */
static inline void helper_wait_for(_Atomic unsigned *number, unsigned wanted)
{
    int64_t until = helper_now() + HELPER_WAIT_MS;

    while (atomic_load(number) < wanted) {
        assert_true(helper_now() < until);
        helper_pause(2);
    }
}
