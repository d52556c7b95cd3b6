/* HTTP on accepted connections: the only place that knows libmicrohttpd.
 *
 * One thread for each connection; request in, answer out.  Errors that the library finds before a
 * request has a head (a broken request line) get its own plain 400. */
#pragma once

#include "listen/table.h"

struct http;

struct http_options {
    const struct api_router *router; /* borrowed */
    struct table *table;             /* borrowed */
    unsigned max_connections, request_deadline_ms, idle_ms;
};

/* ESIGN_E_INTERNAL: the library does not start. */
enum esign_rc http_start(const struct http_options *options, struct http **ret,
                         struct fault *f) MUST_CHECK;

/* Serve a connection; fd is the library's from now on, also on failure, and its row leaves the
 * table at the end. */
void http_add(struct http *h, struct table_row *row);

/* Wait for the connections' threads and release everything. */
void http_stop(struct http *h);

uint64_t http_request_count(const struct http *h);

/* Another deadline for requests that come from now on.  From any thread. */
void http_change(struct http *h, unsigned request_deadline_ms);
