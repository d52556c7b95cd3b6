/* HTTP over the Unix socket, through libcurl. */
#pragma once

#include "base/buf.h"
#include "esign/client.h"

struct transport;

/* path: the socket; borrowed only during the call.  ret: owned by the caller. */
enum esign_rc transport_new(const char *path, struct transport **ret,
                            struct esign_error *error) ESIGN_MUST_CHECK;
void transport_free(struct transport *transport); /* NULL is allowed */
void transport_set_timeout(struct transport *transport, unsigned timeout_ms);

struct transport_request {
    const char *path;  /* "/v1/…" */
    bool post;         /* else GET */
    struct bytes body; /* borrowed */
    const char *key;   /* Idempotency-Key of a POST, usable in a header; or NULL */
};

struct transport_reply {
    struct buf body;
    long status;
    bool is_json; /* application/json or application/problem+json */
};

/* One exchange; blocks at most the timeout.  May be called from several threads, one waits for the
 * other.  A POST has a connection of its own, because libcurl repeats a request by itself when a
 * kept connection turns out to be dead.  What libcurl copied of request and reply is wiped.
 * reply->body: buf_new()ed by the caller. */
enum esign_rc transport_exchange(struct transport *transport,
                                 const struct transport_request *request,
                                 struct transport_reply *reply,
                                 struct esign_error *error) ESIGN_MUST_CHECK;
