/* A full disk: asking whether there is room again, and ending what the full disk left open. */
#pragma once

#include "site/site.h"

struct room {
    struct site *site; /* borrowed */
    int64_t seen;      /* the newest entry store.room that was dealt with; -1: none */
    int64_t before;    /* what entries before this one left open is to be ended; -1: nothing */
    int64_t due_ms;    /* when: no request from before can be under way then (monotonic) */
};

void room_start(struct room *r, struct site *s);

/* To be called about every second, by one thread. */
void room_turn(struct room *r);
