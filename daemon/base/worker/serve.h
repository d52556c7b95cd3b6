/* The helper's side: a supervisor that forks, watches, kills and replaces workers which accept
 * connections from esignd and answer its requests.
 *
 * The supervisor holds the listening socket and loads nothing foreign.  Workers share one page with
 * it in which each says until when its present request may run; a worker past that is killed with
 * SIGKILL and replaced, with back-off when workers die young. */
#pragma once

#include "base/worker/frame.h"

#include <sys/types.h>

/* Exit codes of a worker that the supervisor understands. */
enum {
    WORKER_EXIT_DONE = 0,   /* replaced at once, no back-off */
    WORKER_EXIT_FAILED = 1, /* replaced with back-off (50 ms doubling to 5 s) */
    WORKER_EXIT_NO_PIN =
        40, /* the token refused the PIN: later workers are started with may_login = false */
};

struct worker_request {
    const struct frame *frame;
    const int *fds; /* FRAME_FDS_MAX entries, -1 for none; closed by the skeleton afterwards */
    int64_t deadline_at_ms; /* monotonic */
};

struct worker_service {
    const char *name;       /* for the log */
    unsigned workers;       /* 1 to 64 */
    unsigned requests_each; /* 0: no limit; 1: one process a document */
    unsigned grace_ms;      /* added to a request's deadline before the kill */
    bool serial_start; /* start workers one after the other: the next after the previous is ready */
    uid_t caller_uid;  /* only this user (and this process's own) may connect */
    /* In the worker, before it serves.  May fail: then the worker exits WORKER_EXIT_FAILED. */
    enum esign_rc (*start)(void *ctx, bool may_login, struct fault *f);
    /* One request.  Append the reply's body to reply.  An error becomes an error reply. */
    enum esign_rc (*serve)(void *ctx, const struct worker_request *request, struct buf *reply,
                           struct fault *f);
    /* After start and after each request: an exit code to stop with, or -1 to go on. */
    int (*check)(void *ctx);
    void *ctx;
};

/* Run supervisor and workers until SIGTERM or SIGINT; notifies the service manager (READY=1) when
 * the first worker is ready.  listen_fd: listening SOCK_SEQPACKET socket, owned by the caller.
 * Returns the program's exit code. */
int worker_supervise(int listen_fd, const struct worker_service *service);

/* The listening socket for a service: descriptor 3 if LISTEN_FDS says that one was passed to this
 * process, else a new socket bound at path with mode 0600 (type: SOCK_SEQPACKET or SOCK_STREAM). */
enum esign_rc worker_listen(const char *path, int type, mode_t mode, int *ret_fd,
                            struct fault *f) MUST_CHECK;

/* Tell the service manager ("READY=1"); nothing without NOTIFY_SOCKET. */
void worker_notify(const char *state);

/* Serve one connection in this process and return: for children of `esign verify --offline`. */
int worker_serve_once(int connection_fd, const struct worker_service *service);
