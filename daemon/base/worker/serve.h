/* The helper's side: a supervisor that forks, watches, kills and replaces workers which accept
 * connections from esignd and answer its requests.
 *
 * The supervisor holds the listening socket and loads nothing foreign.  Workers share one page with
 * it in which each says until when its present request may run; a worker past that is killed with
 * SIGKILL and replaced, with back-off when workers die young.  A worker answers one request at a
 * time, on at most WORKER_CONNECTIONS_MAX connections; a request whose caller has gone is dropped.
 */
#pragma once

#include "base/worker/frame.h"

#include <sys/types.h>

enum {
    WORKERS_MAX = 64,
    WORKER_CONNECTIONS_MAX = 64,      /* that one worker keeps open */
    WORKER_START_MS = 30 * 1000,      /* for start(), then the worker is killed */
    WORKER_STOP_MS = 5 * 1000,        /* for the end of a worker that is told to stop */
    WORKER_CHECK_MS = 1000,           /* check() is called at least this often */
    WORKER_BACKOFF_MS = 50,           /* first pause after a worker that died young … */
    WORKER_BACKOFF_MAX_MS = 5 * 1000, /* … doubling up to this */
    WORKER_SPARE_MS = 15 * 1000,      /* after WORKER_EXIT_SPARE */
    WORKER_YOUNG_MS = 10 * 1000,      /* younger than this and no request answered well */
    WORKER_DEADLINE_MAX_MS = 600 * 1000,
};

/* Exit codes of a worker that the supervisor understands. */
enum {
    WORKER_EXIT_DONE = 0,   /* replaced at once, no back-off */
    WORKER_EXIT_FAILED = 1, /* replaced with back-off (50 ms doubling to 5 s) */
    WORKER_EXIT_NO_PIN =
        40, /* the token refused the PIN: later workers are started with may_login = false */
    WORKER_EXIT_SPARE = 41, /* no room for one more beside those that run: tried again much later */
};

/* How things stand when a worker starts. */
struct worker_start {
    bool may_login; /* false: a PIN was refused */
    unsigned ready; /* other workers that serve */
};

struct worker_request {
    const struct frame *frame;
    const int *fds; /* FRAME_FDS_MAX entries, -1 for none; closed by the skeleton afterwards */
    int64_t deadline_at_ms; /* monotonic */
};

struct worker_service {
    const char *name;       /* for the log */
    unsigned workers;       /* 1 to WORKERS_MAX */
    unsigned requests_each; /* 0: no limit; 1: one process a document */
    unsigned grace_ms;      /* added to a request's deadline before the kill */
    bool serial_start; /* start workers one after the other: the next after the previous is ready */
    bool has_secrets;  /* requests or replies carry them: both are kept in locked memory */
    uid_t caller_uid;  /* only this user (and this process's own) may connect */
    /* In the worker, before it serves.  May fail: then the worker exits WORKER_EXIT_FAILED. */
    enum esign_rc (*start)(void *ctx, const struct worker_start *how, struct fault *f);
    /* One request.  Append the reply's body to reply.  An error becomes an error reply. */
    enum esign_rc (*serve)(void *ctx, const struct worker_request *request, struct buf *reply,
                           struct fault *f);
    /* After start, after each request and at least every WORKER_CHECK_MS: an exit code to stop
     * with, or -1 to go on.  NULL: always -1. */
    int (*check)(void *ctx);
    /* In the supervisor: how many workers may run, 0: all.  NULL: always all. */
    unsigned (*limit)(void *ctx);
    /* In the worker, at its orderly end; not after a kill.  NULL: nothing. */
    void (*stop)(void *ctx);
    void *ctx;
};

/* Run supervisor and workers until SIGTERM or SIGINT; notifies the service manager (READY=1) when
 * the first worker is ready.  listen_fd: listening SOCK_SEQPACKET socket, owned by the caller; it
 * is made non-blocking.  The process must have one thread and no module: workers are forked without
 * exec.  A stop lets workers end what they do, but not longer than WORKER_STOP_MS after their
 * deadline.  Workers die with the supervisor.  Returns the program's exit code. */
int worker_supervise(int listen_fd, const struct worker_service *service);

/* The listening socket for a service: descriptor 3 if LISTEN_FDS says that one was passed to this
 * process (and LISTEN_PID, where set, names it), else a new socket of that type (SOCK_SEQPACKET or
 * SOCK_STREAM) bound at path with that mode; a stale one there is replaced.  Sets the umask for a
 * moment, so the process must have one thread.  ret_fd: owned by the caller.  ESIGN_E_POLICY: what
 * was passed is not such a socket, or path can't be used; ESIGN_E_CONFLICT: somebody listens there.
 */
enum esign_rc worker_listen(const char *path, int type, mode_t mode, int *ret_fd,
                            struct fault *f) MUST_CHECK;

/* Tell the service manager ("READY=1"); nothing without NOTIFY_SOCKET.  Source: sd_notify(3). */
void worker_notify(const char *state);

/* Serve one connection (owned by the caller) in this process until it is closed, and return the
 * exit code: for children of `esign verify --offline`.  Without supervisor nobody enforces the
 * deadline; the parent does. */
int worker_serve_once(int connection_fd, const struct worker_service *service);
