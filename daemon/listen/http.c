#include "listen/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "listen/guard.h"
#include "listen/listen.h"

enum {
    HTTP_STACK = 512 * 1024,
    HTTP_LIMIT_FACTOR = 4,   /* ours is the limit: the library counts connections for a while longer
                                than we do, and closes at its own limit without a word */
    HTTP_MEMORY = 64 * 1024, /* head and read buffer; above 32 KiB the library maps it, so that it
                                is gone with the connection */
    HTTP_KEPT = 16 * 1024    /* locked memory for bodies that a connection keeps between requests */
};

struct http {
    struct http_options options;
    struct MHD_Daemon *daemon;
    atomic_uint request_deadline_ms;
    atomic_uint_fast64_t requests;
};

/* What a connection keeps between its requests: to lock and unlock memory for each would stop every
 * thread of the process for a moment. */
struct http_connection {
    struct table_row *row;
    struct buf body;     /* locked, for bodies that may hold secrets */
    struct secret *room; /* for components.password */
};

/* One request, from its first line to the end of its reply. */
struct http_exchange {
    struct http_connection *connection; /* NULL: not ours */
    struct table_row *row;
    struct api_call call;
    char target[API_TARGET_MAX + 2]; /* one more than is allowed: too long is seen */
    struct buf large;                /* a body that holds no secret */
    struct buf *body;                /* large, or the connection's */
    size_t discarded;
    struct api_answer refusal; /* kept for the end of a request without a body */
    bool is_begun, is_too_large;
};

static int64_t http_now(void)
{
    return clock_mono_ms(clock_system());
}

static struct http_connection *http_connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void http_connection_end(struct http *h, struct http_connection *c)
{
    if (!c)
        return;
    table_remove(h->options.table, c->row);
    buf_done(&c->body);
    secret_free(c->room);
    free(c);
}

/* NULL: no memory, or not a connection of the table. */
static struct http_connection *http_connection_new(struct table_row *row)
{
    struct http_connection *c = row ? calloc(1, sizeof(*c)) : NULL;

    if (c)
        *c = (struct http_connection){.row = row, .body = buf_new_locked(0)};
    return c;
}

static void http_on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http *h = ctx;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        http_connection_end(h, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct table_row *row = info ? table_find(h->options.table, info->connect_fd) : NULL;
    if (row)
        (void)table_enter(h->options.table, row, TABLE_IDLE,
                          http_now() + h->options.idle_ms); /* a new row is not cut */
    *socket_context = http_connection_new(row);
    if (row && !*socket_context)
        table_remove(h->options.table, row);
}

/* The library keeps query arguments; nobody here looks at them, so nothing is decoded. */
static size_t http_keep_escapes(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx;
    (void)connection;
    return strlen(text);
}

/* The request's first line is here. */
static void *http_on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    struct http *h = ctx;
    struct http_exchange *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->connection = http_connection_of(connection);
    x->row = x->connection ? x->connection->row : NULL;
    memcpy(x->target, target, strnlen(target, sizeof(x->target) - 1));
    x->call.target = x->target;
    x->call.received_at_ms = clock_now_ms(clock_system());
    x->call.deadline_at_ms = http_now() + atomic_load(&h->request_deadline_ms);
    if (x->row) {
        x->call.peer = x->row->peer;
        (void)table_enter(h->options.table, x->row, TABLE_RECEIVING,
                          x->call.deadline_at_ms); /* asked again before the handler */
    }
    return x;
}

/* Nothing of a request stays behind; the memory does, unless it is much. */
static void http_wipe_kept(struct http_connection *c)
{
    if (c->body.cap > HTTP_KEPT)
        buf_done(&c->body);
    else
        buf_clear(&c->body);
    c->body.locked = true; /* a buffer that is done forgets it */
}

static void http_on_completed(void *ctx, struct MHD_Connection *connection, void **request_context,
                              enum MHD_RequestTerminationCode code)
{
    struct http *h = ctx;
    struct http_exchange *x = *request_context;

    (void)connection;
    (void)code;
    *request_context = NULL;
    if (!x)
        return;
    if (x->row)
        (void)table_enter(h->options.table, x->row, TABLE_IDLE,
                          http_now() + h->options.idle_ms); /* cut or not: it ends or waits */
    if (x->connection)
        http_wipe_kept(x->connection);
    buf_done(&x->large);
    buf_done(&x->refusal.body);
    secret_wipe(x, sizeof(*x)); /* some type a password into an address */
    free(x);
}

static void http_free_body(void *body)
{
    buf_done(body);
    free(body);
}

/* A response that owns the answer's body. */
static struct MHD_Response *http_response(struct api_answer *answer)
{
    struct buf *body = malloc(sizeof(*body));

    if (!body) {
        buf_done(&answer->body);
        return NULL;
    }
    *body = answer->body;
    answer->body = (struct buf){0};
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        body->len, body->data, http_free_body, body);
    if (!response)
        http_free_body(body);
    return response;
}

static bool http_add_headers(struct MHD_Response *response, const struct api_answer *answer,
                             bool close)
{
    char seconds[16];
    bool ok = MHD_add_response_header(response, "Content-Type", answer->content_type) &&
              MHD_add_response_header(response, "Cache-Control", "no-store");

    if (answer->allow)
        ok = ok && MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", answer->retry_after_s); /* fits */
        ok = ok && MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (answer->status == 401)
        ok = ok &&
             MHD_add_response_header(response, "WWW-Authenticate", "Components realm=\"esignd\"");
    if (close)
        ok = ok && MHD_add_response_header(response, "Connection", "close");
    return ok;
}

/* Send answer and release it. */
static enum MHD_Result http_send(struct http *h, struct MHD_Connection *connection,
                                 struct http_exchange *x, struct api_answer *answer, bool close)
{
    int64_t now = http_now();
    int64_t from = now > x->call.deadline_at_ms ? now : x->call.deadline_at_ms;
    struct MHD_Response *response = http_response(answer);

    if (!response)
        return MHD_NO;
    (void)table_enter(h->options.table, x->row, TABLE_REPLYING,
                      from + LISTEN_REPLY_MS); /* a cut connection fails when it is written to */
    close = close || table_is_draining(h->options.table);
    enum MHD_Result sent = MHD_NO;
    if (http_add_headers(response, answer, close))
        sent = MHD_queue_response(connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result http_refuse(struct http *h, struct MHD_Connection *connection,
                                   struct http_exchange *x, const struct fault *f)
{
    struct api_answer answer = {0};

    api_answer_fault(f, &answer);
    return http_send(h, connection, x, &answer, true);
}

struct http_headers {
    struct guard_header items[GUARD_HEADERS_MAX + 1]; /* one more: too many is seen */
    size_t count;
};

static enum MHD_Result http_collect(void *ctx, enum MHD_ValueKind kind, const char *name,
                                    size_t name_len, const char *value, size_t value_len)
{
    struct http_headers *headers = ctx;

    (void)kind;
    if (headers->count == GUARD_HEADERS_MAX + 1)
        return MHD_NO;
    headers->items[headers->count++] =
        (struct guard_header){bytes_of(name, name_len), bytes_of(value, value ? value_len : 0)};
    return MHD_YES;
}

static enum esign_rc http_guard(struct MHD_Connection *connection, const struct http_exchange *x,
                                const char *version, struct guard_framing *ret, struct fault *f)
{
    struct http_headers headers = {0};

    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, http_collect,
                                      &headers); /* the count is kept by us */
    const struct guard_head head = {.method = x->call.method,
                                    .version = version,
                                    .target = x->target,
                                    .headers = headers.items,
                                    .header_count = headers.count};
    return listen_guard(&head, ret, f);
}

static enum esign_rc http_check_length(const struct api_route *route,
                                       const struct guard_framing *framing, struct fault *f)
{
    if (route->body_max == 0 && (framing->chunked || framing->length > 0))
        return fault_set(f, ESIGN_E_PROTO, "this request takes no body");
    if ((uint64_t)framing->length > route->body_max)
        return fault_set(f, ESIGN_E_TOO_LARGE, "the body has at most %zu bytes here",
                         route->body_max);
    return ESIGN_OK;
}

/* Where the body goes, and a password in it.  false: no memory. */
static bool http_take_room(struct http_exchange *x)
{
    const struct api_route *route = x->call.route;
    struct http_connection *c = x->connection;

    x->body = route->body_max > API_BODY_SMALL ? &x->large : &c->body;
    x->body->max = route->body_max;
    if (route->components != API_COMPONENTS_NONE && !c->room)
        c->room = secret_new_room();
    x->call.room = c->room;
    return route->components == API_COMPONENTS_NONE || c->room;
}

/* The head is complete, nothing of the body was read.  An answer from here makes the library close
 * the connection, so only what is ambiguous or has a body is answered at once. */
static enum MHD_Result http_on_head(struct http *h, struct MHD_Connection *connection,
                                    struct http_exchange *x, const char *version)
{
    struct guard_framing framing = {0};
    struct api_answer answer = {0};
    struct fault f = {0};

    atomic_fetch_add_explicit(&h->requests, 1, memory_order_relaxed);
    if (http_guard(connection, x, version, &framing, &f) != ESIGN_OK)
        return http_refuse(h, connection, x, &f);
    x->call.content_type =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    x->call.key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key");
    bool admitted = api_admit(h->options.router, &x->call, &answer, &f) == ESIGN_OK;
    secret_wipe_stack();
    if (!admitted) {
        if (framing.chunked || framing.length > 0)
            return http_send(h, connection, x, &answer, true);
        x->refusal = answer;
        x->is_begun = true;
        return MHD_YES;
    }
    if (http_check_length(x->call.route, &framing, &f) != ESIGN_OK)
        return http_refuse(h, connection, x, &f);
    x->is_begun = true;
    return http_take_room(x) ? MHD_YES : MHD_NO;
}

/* A piece of the body.  No answer can be given here; one that is too large is read up to a limit
 * and then answered, or dropped with the connection. */
static enum MHD_Result http_on_body(struct http_exchange *x, const char *data, size_t *len)
{
    if (x->is_too_large || *len > x->body->max - x->body->len) {
        x->is_too_large = true;
        x->discarded += *len;
    } else {
        buf_put(x->body, bytes_of(data, *len));
    }
    /* The library's buffer may hold a password; it gives no call to overwrite it. */
    secret_wipe((void *)(uintptr_t)data, *len);
    *len = 0;
    return x->discarded > LISTEN_DISCARD_MAX || !buf_ok(x->body) ? MHD_NO : MHD_YES;
}

static enum MHD_Result http_on_end(struct http *h, struct MHD_Connection *connection,
                                   struct http_exchange *x)
{
    struct api_answer answer = {0};
    struct fault f = {0};

    if (x->refusal.status != 0)
        return http_send(h, connection, x, &x->refusal, false);
    if (x->is_too_large) {
        (void)fault_set(&f, ESIGN_E_TOO_LARGE, "the body has at most %zu bytes here", x->body->max);
        return http_refuse(h, connection, x, &f);
    }
    if (MHD_get_connection_values(connection, MHD_FOOTER_KIND, NULL, NULL) > 0) {
        (void)fault_set(&f, ESIGN_E_PROTO, "headers after the body are not taken");
        return http_refuse(h, connection, x, &f);
    }
    if (!table_enter(h->options.table, x->row, TABLE_HANDLING, 0))
        return MHD_NO; /* cut a moment ago: nobody would read the reply, so nothing is done */
    api_dispatch(h->options.router, &x->call, x->body, &answer);
    secret_wipe_stack();
    return http_send(h, connection, x, &answer, false);
}

static enum MHD_Result http_on_request(void *ctx, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *data, size_t *len, void **request_context)
{
    struct http *h = ctx;
    struct http_exchange *x = *request_context;

    (void)url; /* decoded by the library; ours is the target as sent */
    if (!x || !x->row)
        return MHD_NO;
    if (!x->is_begun) {
        x->call.method = method;
        return http_on_head(h, connection, x, version);
    }
    return *len > 0 ? http_on_body(x, data, len) : http_on_end(h, connection, x);
}

static struct MHD_Daemon *http_start_library(struct http *h)
{
    const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                           MHD_USE_NO_LISTEN_SOCKET | MHD_USE_POLL;

    return MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_request, h, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection,
        h, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, h, MHD_OPTION_URI_LOG_CALLBACK,
        http_on_target, h, MHD_OPTION_UNESCAPE_CALLBACK, http_keep_escapes, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)HTTP_STACK, MHD_OPTION_CONNECTION_LIMIT,
        h->options.max_connections * HTTP_LIMIT_FACTOR, MHD_OPTION_END);
}

enum esign_rc http_start(const struct http_options *options, struct http **ret, struct fault *f)
{
    CLEANUP(free_p) struct http *h = calloc(1, sizeof(*h));

    if (!h)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the HTTP library");
    if (!listen_guard_version_is_sound(MHD_get_version()))
        log_warn("libmicrohttpd is older than 1.0.10; the header guard stands in version=%s",
                 MHD_get_version());
    h->options = *options;
    atomic_init(&h->request_deadline_ms, options->request_deadline_ms);
    h->daemon = http_start_library(h);
    if (!h->daemon)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "the HTTP library doesn't start");
    *ret = TAKE(h);
    return ESIGN_OK;
}

void http_add(struct http *h, struct table_row *row)
{
    const struct sockaddr address = {.sa_family = AF_UNIX};

    if (MHD_add_connection(h->daemon, row->fd, &address, sizeof(address)) != MHD_YES)
        table_remove(h->options.table, row);
}

void http_stop(struct http *h)
{
    MHD_stop_daemon(h->daemon);
    free(h);
}

uint64_t http_request_count(const struct http *h)
{
    return atomic_load_explicit(&h->requests, memory_order_relaxed);
}

void http_change(struct http *h, unsigned request_deadline_ms)
{
    atomic_store(&h->request_deadline_ms, request_deadline_ms);
}
