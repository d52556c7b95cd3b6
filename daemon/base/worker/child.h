/* A helper as a child of this process: for the command, which has no services of its own. */
#pragma once

#include "base/worker/call.h"

#include <sys/types.h>

enum { WORKER_CHILD_FD = 3 }; /* where the child finds its connection: worker_serve_once() */

struct worker_child {
    struct worker_pool *pool; /* one lane to it */
    pid_t pid;                /* 0: there is none */
};

/* Start argv[0] (a path), with that environment.  Signals are as at the start of a program there.
 * ret: ended with worker_child_end().  ESIGN_E_HSM reason "worker": it can't be started. */
enum esign_rc worker_child_start(const char *name, char *const argv[], char *const environment[],
                                 struct worker_child *ret, struct fault *f) MUST_CHECK;

/* Kill and reap it, whatever it does; none is allowed. */
void worker_child_end(struct worker_child *child);
