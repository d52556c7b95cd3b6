/* The socket: who may connect, for how long, and how many at a time; requests go to api/.
 *
 * Three kinds of threads: one that accepts and asks who it is, one for each connection (it owns the
 * request from its first byte to the reply), one that cuts connections past their deadline and
 * reports refused callers.  Source: 21 CFR 11.10(d); design sections 2 and 5. */
#pragma once

#include "api/route.h"

struct listen;

/* What the kernel says about the other end, at the time of connect(). */
struct listen_credentials {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary groups */
    size_t group_count;
};

struct listen_options {
    int fd;                       /* listening SOCK_STREAM; stays the caller's */
    unsigned max_connections;     /* 1 to 1024 */
    unsigned kept_for_terminals;  /* of these, not for applications; below max_connections */
    unsigned per_caller;          /* for one application, or one user at a terminal; 0: no limit */
    unsigned request_deadline_ms; /* from the first line of a request to the handler's deadline */
    unsigned idle_ms;             /* a connection without a request; 0: LISTEN_IDLE_MS */
    const struct api_router *router;
    /* Who this is; false: nobody that is registered.  On the accepting thread: must not block. */
    bool (*decide)(void *ctx, const struct listen_credentials *who, struct api_peer *ret);
    /* Callers were closed before a byte was read: count of them since the last report, the newest
     * one's uid.  At once for the first, then at most once in LISTEN_REPORT_MS, and at stop for the
     * rest.  On the deadline thread: may block for as long as deadlines may be late. */
    void (*refused)(void *ctx, uid_t uid, gid_t gid, uint64_t count);
    void *ctx; /* of decide and refused */
};

enum {
    LISTEN_IDLE_MS = 60 * 1000,      /* between two requests of a connection */
    LISTEN_REPLY_MS = 10 * 1000,     /* for a client to read its reply */
    LISTEN_REPORT_MS = 60 * 1000,    /* between two reports of refused callers */
    LISTEN_TICK_MS = 50,             /* how late a deadline may be noticed */
    LISTEN_DISCARD_MAX = 1024 * 1024 /* bytes of a chunked body over its limit that are read only
                                        so that the refusal can be sent */
};

struct listen_counts {
    uint64_t accepted, refused, full, cut, requests;
    unsigned connections;
};

/* Start accepting.  Everything in options is borrowed until listen_stop().  Logs a warning if the
 * HTTP library is older than the first sound one.  ESIGN_E_POLICY: options out of range;
 * ESIGN_E_INTERNAL (cause errno). */
enum esign_rc listen_start(const struct listen_options *options, struct listen **ret,
                           struct fault *f) MUST_CHECK;

/* Stop: accept nothing more, close idle connections, let running requests finish for up to wait_ms,
 * then cut the rest and wait for their handlers.  NULL is allowed. */
void listen_stop(struct listen *l, unsigned wait_ms);

struct listen_counts listen_count(struct listen *l);

/* Other limits, for connections and requests that come from now on; as in struct listen_options,
 * kept_for_terminals below max_connections.  From any thread. */
void listen_change(struct listen *l, unsigned kept_for_terminals, unsigned per_caller,
                   unsigned request_deadline_ms);

/* Whether an application, or a user at a terminal, has a connection now.  Blocks nobody. */
bool listen_has(struct listen *l, const struct api_peer *peer);
