#include "listen/listen.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "listen/accept.h"
#include "listen/deadline.h"
#include "listen/http.h"
#include "listen/table.h"

struct listen {
    struct listen_options options;
    struct table *table;
    struct deadline *deadline;
    struct http *http;
    struct accept *accept;
};

enum {
    LISTEN_CONNECTIONS_MAX = 1024,
    LISTEN_TICKS_PER_DEADLINE = 16, /* a deadline is noticed at most this part of it late, … */
    LISTEN_TICK_MAX_MS = 500        /* … and at most this */
};

static unsigned listen_tick_ms(const struct listen_options *options)
{
    unsigned tick = options->request_deadline_ms / LISTEN_TICKS_PER_DEADLINE;

    if (tick < LISTEN_TICK_MS)
        return LISTEN_TICK_MS;
    return tick < LISTEN_TICK_MAX_MS ? tick : LISTEN_TICK_MAX_MS;
}

static enum esign_rc listen_check(const struct listen_options *options, struct fault *f)
{
    if (options->max_connections < 1 || options->max_connections > LISTEN_CONNECTIONS_MAX)
        return fault_set(f, ESIGN_E_POLICY, "max_connections must be 1 to %d",
                         LISTEN_CONNECTIONS_MAX);
    if (options->kept_for_terminals >= options->max_connections)
        return fault_set(f, ESIGN_E_POLICY, "fewer connections must be kept than there are");
    if (options->request_deadline_ms == 0)
        return fault_set(f, ESIGN_E_POLICY, "a request needs a deadline");
    return ESIGN_OK;
}

static enum esign_rc listen_start_parts(struct listen *l, struct fault *f)
{
    const struct listen_options *o = &l->options;
    const struct table_limits limits = {o->max_connections, o->kept_for_terminals, o->per_caller};
    enum esign_rc rc = table_new(&limits, &l->table, f);

    if (rc != ESIGN_OK)
        return rc;
    const struct deadline_options deadline = {.table = l->table,
                                              .tick_ms = listen_tick_ms(o),
                                              .report_ms = LISTEN_REPORT_MS,
                                              .refused = o->refused,
                                              .ctx = o->ctx};
    rc = deadline_start(&deadline, &l->deadline, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct http_options http = {.router = o->router,
                                      .table = l->table,
                                      .max_connections = o->max_connections,
                                      .request_deadline_ms = o->request_deadline_ms,
                                      .idle_ms = o->idle_ms};
    rc = http_start(&http, &l->http, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct accept_options accept = {
        .listen = o, .table = l->table, .http = l->http, .deadline = l->deadline};
    return accept_start(&accept, &l->accept, f);
}

enum esign_rc listen_start(const struct listen_options *options, struct listen **ret,
                           struct fault *f)
{
    enum esign_rc rc = listen_check(options, f);
    sigset_t all, before;

    if (rc != ESIGN_OK)
        return rc;
    struct listen *l = calloc(1, sizeof(*l));
    if (!l)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the listener");
    l->options = *options;
    if (l->options.idle_ms == 0)
        l->options.idle_ms = LISTEN_IDLE_MS;
    /* signals are for the main thread; SIGPIPE is for nobody */
    (void)sigfillset(&all);                            /* can't fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* can't fail with these arguments */
    rc = listen_start_parts(l, f);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* as above */
    if (rc != ESIGN_OK) {
        listen_stop(l, 0);
        return rc;
    }
    *ret = l;
    return ESIGN_OK;
}

/* Let running requests finish, then cut what is left. */
static void listen_drain(struct listen *l, unsigned wait_ms)
{
    table_drain(l->table);
    deadline_wake(l->deadline);
    if (!table_wait_empty(l->table, clock_mono_ms(clock_system()) + wait_ms)) {
        log_notice("connections are cut at stop count=%u", table_count(l->table));
        table_cut_all(l->table);
    }
}

void listen_stop(struct listen *l, unsigned wait_ms)
{
    if (!l)
        return;
    accept_stop(l->accept);
    if (l->http) {
        listen_drain(l, wait_ms);
        http_stop(l->http);
    }
    deadline_stop(l->deadline);
    table_free(l->table);
    free(l);
}

struct listen_counts listen_count(struct listen *l)
{
    struct accept_counts accepted = accept_count(l->accept);

    return (struct listen_counts){.accepted = accepted.accepted,
                                  .refused = accepted.refused,
                                  .full = accepted.full,
                                  .cut = deadline_cut_count(l->deadline),
                                  .requests = http_request_count(l->http),
                                  .connections = table_count(l->table)};
}

void listen_change(struct listen *l, unsigned kept_for_terminals, unsigned per_caller,
                   unsigned request_deadline_ms)
{
    const struct table_limits limits = {l->options.max_connections, kept_for_terminals, per_caller};

    table_change(l->table, &limits);
    http_change(l->http, request_deadline_ms);
}

bool listen_has(struct listen *l, const struct api_peer *peer)
{
    return table_has(l->table, peer);
}
