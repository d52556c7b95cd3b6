/* One thread that accepts connections, asks who it is, and hands over or closes.
 *
 * Refusing inside the HTTP library comes too late: it has read by then. */
#pragma once

#include "listen/deadline.h"
#include "listen/http.h"
#include "listen/listen.h"

struct accept;

struct accept_options {
    const struct listen_options *listen; /* fd, decide, ctx; borrowed, as the next three */
    struct table *table;
    struct http *http;
    struct deadline *deadline;
};

/* ESIGN_E_INTERNAL (cause errno): no thread or descriptor. */
enum esign_rc accept_start(const struct accept_options *options, struct accept **ret,
                           struct fault *f) MUST_CHECK;

struct accept_counts {
    uint64_t accepted, refused, full;
};
struct accept_counts accept_count(const struct accept *a);

/* End the thread; what waits in the backlog stays there.  NULL is allowed. */
void accept_stop(struct accept *a);
