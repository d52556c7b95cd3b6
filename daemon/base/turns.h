/* One request at a time for each name: the next one waits for the end of the one before. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/fault.h"

enum { TURN_NAME_MAX = 64 };

/* A turn that is held; lives where its holder does, and is not moved while it is held. */
struct turn {
    struct turn *next;
    struct turns *turns; /* NULL: not held */
    char name[TURN_NAME_MAX + 1];
};

/* Who holds a turn now. */
struct turns {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    struct turn *held;
};

void turns_init(struct turns *t);
void turns_done(struct turns *t); /* nobody holds one */

/* Take the turn of name (at most TURN_NAME_MAX bytes).  ret: all zero, held until turn_end().
 * Blocks while somebody else holds it, at most until the deadline (monotonic).  ESIGN_E_DEADLINE:
 * it is still held. */
enum esign_rc turn_take(struct turns *t, const char *name, int64_t deadline_at_ms, struct turn *ret,
                        struct fault *f) MUST_CHECK;

/* End a turn, so that the next may have it; one that is not held is left alone. */
void turn_end(struct turn *turn);
