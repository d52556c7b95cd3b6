/* What the supervisor and its workers share: a page of slots, and the worker's own loop. */
#pragma once

#include "base/worker/serve.h"

#include <stdatomic.h>

/* One worker's part of the page: written by the worker, read by the supervisor and by the other
 * workers. */
struct worker_slot {
    _Atomic int64_t busy_until_ms; /* monotonic; 0: waiting for a request */
    _Atomic uint32_t connections;  /* open now */
    _Atomic uint32_t answered;     /* requests answered without an error */
    _Atomic uint32_t ready;        /* start() is over */
};

struct worker_page {
    struct worker_slot slots[WORKERS_MAX];
};

/* The body of a worker process, from start() to its exit code.
 * connection_fd: taken; serve this connection alone (then listen_fd is -1).  ready_fd: an eventfd
 * that is written once start() is over, -1: none.  stop_fd: readable when the worker shall end, -1:
 * none. */
struct worker_place {
    const struct worker_service *service;
    struct worker_page *page;
    unsigned index; /* of this worker's slot */
    int listen_fd, connection_fd, ready_fd, stop_fd;
    struct worker_start how;
};
int worker_run(const struct worker_place *place);

/* Whether the other end of fd runs as caller or as this process's own user. */
bool worker_peer_allowed(int fd, uid_t caller, uid_t *ret_uid);
