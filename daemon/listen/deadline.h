/* One thread that cuts what is past its time and reports refused callers. */
#pragma once

#include <sys/types.h>

#include "listen/table.h"

struct deadline;

struct deadline_options {
    struct table *table; /* borrowed */
    unsigned tick_ms;    /* how late a deadline may be noticed */
    unsigned report_ms;  /* between two reports */
    /* As in struct listen_options. */
    void (*refused)(void *ctx, uid_t uid, gid_t gid, uint64_t count);
    void *ctx;
};

/* ESIGN_E_INTERNAL: no memory or thread. */
enum esign_rc deadline_start(const struct deadline_options *options, struct deadline **ret,
                             struct fault *f) MUST_CHECK;

/* A connection was added: the thread sleeps while there is none. */
void deadline_wake(struct deadline *d);

/* A caller was refused.  Does not block. */
void deadline_note_refused(struct deadline *d, uid_t uid, gid_t gid);

uint64_t deadline_cut_count(struct deadline *d);

/* Report what was not reported yet, end the thread.  NULL is allowed. */
void deadline_stop(struct deadline *d);
