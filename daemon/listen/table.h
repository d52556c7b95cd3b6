/* The connections: who each belongs to, what it is doing and until when it may.
 *
 * A connection's descriptor is touched only while its row is in the table: rows leave it before the
 * HTTP library closes the descriptor. */
#pragma once

#include "api/route.h"

enum table_phase {
    TABLE_FREE,
    TABLE_HANDED,    /* given to the HTTP library, which has not said yet that it has it: not cut */
    TABLE_IDLE,      /* no line of a request has arrived, since the start or the last reply */
    TABLE_RECEIVING, /* first line read, the rest is arriving */
    TABLE_HANDLING,  /* never cut: the handler keeps its own deadline and its reply is wanted */
    TABLE_REPLYING   /* the reply is on its way */
};

struct table_row {
    int fd;
    enum table_phase phase;
    int64_t cut_at_ms; /* monotonic */
    bool cut;          /* shut down already */
    struct api_peer peer;
};

/* Connections that only the owner gets, beside the others: for the service's own look at itself. */
enum { TABLE_OWNER_MORE = 1 };

struct table_limits {
    unsigned max_connections, kept_for_terminals, per_caller;
};

struct table;

/* ESIGN_E_INTERNAL: no memory. */
enum esign_rc table_new(const struct table_limits *limits, struct table **ret,
                        struct fault *f) MUST_CHECK;
void table_free(struct table *t);

/* A row for a new connection in phase TABLE_HANDED; a stale row of the same descriptor is dropped
 * first.  NULL: a limit is reached, or the table drains. */
struct table_row *table_add(struct table *t, int fd, const struct api_peer *peer);

/* The row of a descriptor, or NULL. */
struct table_row *table_find(struct table *t, int fd);

/* The connection ends: its descriptor is not touched any more. */
void table_remove(struct table *t, struct table_row *row);

/* row enters a phase.  false: it was cut already. */
bool table_enter(struct table *t, struct table_row *row, enum table_phase phase, int64_t cut_at_ms);

/* Shut down what is past its time at now_ms, and idle rows of a table that drains.  Returns how
 * many. */
unsigned table_cut(struct table *t, int64_t now_ms);

/* From now on nothing is added and idle rows are cut. */
void table_drain(struct table *t);
bool table_is_draining(struct table *t);

/* Wait until the table is empty, at most until deadline_at_ms (monotonic).  Whether it is. */
bool table_wait_empty(struct table *t, int64_t deadline_at_ms);

/* Shut down every connection that was started, whatever it does. */
void table_cut_all(struct table *t);

unsigned table_count(struct table *t);

/* Other limits, of the same max_connections, for connections that come from now on. */
void table_change(struct table *t, const struct table_limits *limits);

/* Whether this caller has a connection. */
bool table_has(struct table *t, const struct api_peer *peer);
