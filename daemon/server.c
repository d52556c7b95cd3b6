#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "api/decode.h"
#include "api/routes.h"
#include "authn/caller.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/worker/serve.h"
#include "confine.h"
#include "listen/listen.h"
#include "register/register.h"
#include "reload.h"
#include "room.h"
#include "sign/sign.h"
#include "site/restored.h"
#include "site/site.h"
#include "start.h"
#include "watchdog.h"

enum {
    SERVER_TICK_MS = 1000,
    SERVER_DRAIN_MS = 10000,
    SERVER_REPORT_MS = 5000, /* to enter refused peers */
    SERVER_REQUEST_MAX = 128,
    SERVER_SOCKET_MODE = 0660,
};

struct server {
    struct config *config;
    struct site *site;
    struct listen *listen;
    struct api_router router;
    int listen_fd;
    struct watchdog watchdog;
    struct reload reload;
    struct room room;
    int64_t checkpoint_size, checkpoint_at_ms;
};

static void server_done(struct server *s)
{
    site_close(s->site);
    config_free(s->config);
    close_p(&s->listen_fd);
}

/* ---- what the listener and the router ask */

/* The router asks with its service: the site. */
static bool server_ready(void *site)
{
    return site_ready(site);
}

static bool server_restored(void *site)
{
    return site_waits(site);
}

static bool server_decide(void *ctx, const struct listen_credentials *who, struct api_peer *ret)
{
    static const enum api_peer_kind kinds[] = {[AUTHN_CALLER_APPLICATION] = API_PEER_APPLICATION,
                                               [AUTHN_CALLER_TERMINAL] = API_PEER_TERMINAL,
                                               [AUTHN_CALLER_OWNER] = API_PEER_ROOT};
    struct server *s = ctx;
    struct authn_caller caller;
    struct fault f = {0};

    if (authn_caller_find(site_store(s->site), who->uid, who->groups, who->group_count, &caller,
                          &f) != ESIGN_OK) {
        log_error("the register can't be asked code=%s detail=\"%s\"", fault_name(f.rc), f.detail);
        return false;
    }
    if (caller.kind == AUTHN_CALLER_UNKNOWN)
        return false;
    *ret = (struct api_peer){.kind = kinds[caller.kind], .uid = who->uid, .gid = who->gid};
    (void)snprintf(ret->id, sizeof(ret->id), "%s", caller.id);
    return true;
}

/* The right is asked for at every request: a right taken away works at once. */
static enum esign_rc server_permit(void *site, const struct api_peer *peer, const char *right,
                                   struct fault *f)
{
    if (peer->kind != API_PEER_APPLICATION || !right)
        return ESIGN_OK;
    return authn_caller_right(site_store(site), peer->id, right, f);
}

/* Source: 21 CFR 11.10(g). */
static void server_denied(void *site, const struct api_peer *peer, const struct api_route *route,
                          const struct fault *f)
{
    bool application = peer->kind == API_PEER_APPLICATION;
    bool terminal = peer->kind == API_PEER_TERMINAL;
    const struct register_origin origin = {.application = application ? peer->id : NULL,
                                           .terminal = terminal ? peer->id : NULL};
    char object[API_ID_MAX + 16], request[SERVER_REQUEST_MAX];
    struct fault denied = *f;

    (void)snprintf(object, sizeof(object), "%s/%s",
                   application ? "application" : (terminal ? "terminal" : "socket"),
                   application || terminal ? peer->id : "esignd");
    (void)snprintf(request, sizeof(request), "%s %s", route->method, route->pattern);
    if (register_peer_refused(site, &origin, (int64_t)peer->uid, "request.denied", object, request,
                              &denied) != f->rc)
        log_error("a denied request could not be entered code=%s detail=\"%s\"",
                  fault_name(denied.rc), denied.detail);
}

/* Callers that nobody registered.  Source: 21 CFR 11.10(d), 11.300(d). */
static void server_refused(void *ctx, uid_t uid, gid_t gid, uint64_t count)
{
    struct server *s = ctx;
    struct fault f = {0};
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack("{s:I, s:I}", "count", (json_int_t)count, "gid", (json_int_t)gid);
    const struct audit_act act = {.action = "peer.refused",
                                  .object = "socket/esignd",
                                  .result = ESIGN_E_PEER_DENIED,
                                  .actor = {.role = "peer", .uid = uid},
                                  .new_value = new_value};

    log_warn("unregistered callers were closed count=%llu uid=%u", (unsigned long long)count,
             (unsigned)uid);
    if (site_commit(s->site, &act, &change, clock_mono_ms(site_clock(s->site)) + SERVER_REPORT_MS,
                    &receipt, &f) != ESIGN_OK)
        log_error("refused callers could not be entered code=%s detail=\"%s\"", fault_name(f.rc),
                  f.detail);
}

/* ---- start */

static enum esign_rc server_note_config(struct server *s, const char *path, struct fault *f)
{
    s->reload = (struct reload){.path = path, .config = s->config, .site = s->site};
    return reload_start(&s->reload, f);
}

static enum esign_rc server_open(struct server *s, const char *config_path, struct fault *f)
{
    enum esign_rc rc = secret_start(f);

    if (rc == ESIGN_OK)
        rc = config_load(config_path, &s->config, f);
    if (rc == ESIGN_OK)
        rc = clock_set_zone(config_str(s->config, "site.zone"), f);
    if (rc == ESIGN_OK)
        rc = confine_daemon(s->config, config_path, f);
    if (rc == ESIGN_OK)
        rc = site_open(s->config, clock_system(), &s->site, f);
    if (rc == ESIGN_OK)
        rc = server_note_config(s, config_path, f);
    if (rc == ESIGN_OK)
        rc = start_enter(s->site, f);
    if (rc == ESIGN_OK)
        rc = worker_listen(config_str(s->config, "socket.path"), SOCK_STREAM, SERVER_SOCKET_MODE,
                           &s->listen_fd, f);
    return rc;
}

static void server_count(void *listen, struct site_traffic *ret)
{
    struct listen_counts counts = listen_count(listen);

    *ret = (struct site_traffic){.accepted = counts.accepted,
                                 .refused = counts.refused,
                                 .full = counts.full,
                                 .cut = counts.cut,
                                 .requests = counts.requests,
                                 .connections = counts.connections};
}

/* A session's peer is here as long as it has a connection. */
static bool server_present(void *listen, const struct session_place *place)
{
    struct api_peer peer = {.kind = place->application ? API_PEER_APPLICATION : API_PEER_TERMINAL,
                            .uid = (uid_t)place->uid};

    (void)snprintf(peer.id, sizeof(peer.id), "%s",
                   place->application ? place->application : place->terminal);
    return listen_has(listen, &peer);
}

static enum esign_rc server_listen(struct server *s, struct fault *f)
{
    const struct config *c = s->config;

    s->router = (struct api_router){.routes = api_routes,
                                    .route_count = api_route_count,
                                    .service = s->site,
                                    .ready = server_ready,
                                    .restored = server_restored,
                                    .permit = server_permit,
                                    .denied = server_denied};
    const struct listen_options options = {
        .fd = s->listen_fd,
        .max_connections = (unsigned)config_int(c, "socket.max_connections"),
        .kept_for_terminals = (unsigned)config_int(c, "socket.kept_for_terminals"),
        .per_caller = (unsigned)config_int(c, "socket.per_application"),
        .request_deadline_ms = (unsigned)config_int(c, "request.deadline_ms"),
        .router = &s->router,
        .decide = server_decide,
        .refused = server_refused,
        .ctx = s};
    enum esign_rc rc = listen_start(&options, &s->listen, f);
    if (rc == ESIGN_OK)
        site_set_traffic(s->site, server_count, s->listen);
    s->reload.listen = s->listen;
    room_start(&s->room, s->site);
    if (rc == ESIGN_OK)
        watchdog_start(&s->watchdog, site_clock(s->site), site_store(s->site), s->listen,
                       s->listen_fd);
    if (rc == ESIGN_OK)
        site_set_presence(s->site, server_present, s->listen);
    return rc;
}

/* ---- running */

/* A checkpoint when there are enough new entries, or some and enough time. */
static void server_tick(struct server *s)
{
    int64_t size = store_size(site_store(s->site)), now_ms = clock_mono_ms(site_clock(s->site));
    int64_t entries = config_int(s->config, "audit.checkpoint_entries");
    int64_t after_ms = config_int(s->config, "audit.checkpoint_s") * 1000;

    if (!site_ready(s->site) || size == s->checkpoint_size)
        return;
    if (size - s->checkpoint_size < entries && now_ms - s->checkpoint_at_ms < after_ms)
        return;
    /* a failure is logged; the next try waits for its time, not for new entries */
    if (site_checkpoint_now(s->site))
        s->checkpoint_size = size;
    s->checkpoint_at_ms = now_ms;
}

/* Source: sd_notify(3), RELOADING=1. */
static void server_reload(struct server *s)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)clock_mono_ms(site_clock(s->site)) * 1000); /* fits */
    worker_notify(text);
    reload_run(&s->reload);
    worker_notify("READY=1");
}

/* Until SIGTERM or SIGINT, which are blocked in all threads and fetched here, as is SIGHUP. */
static void server_loop(struct server *s, const sigset_t *signals)
{
    int64_t wait_ms = watchdog_wait_ms(&s->watchdog, SERVER_TICK_MS);
    const struct timespec tick = {wait_ms / 1000, wait_ms % 1000 * 1000000};

    for (;;) {
        int got = sigtimedwait(signals, NULL, &tick);
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            server_reload(s);
        watchdog_turn(&s->watchdog);
        room_turn(&s->room);
        sign_card_tick(s->site);
        authn_sessions_tick(site_sessions(s->site));
        server_tick(s);
    }
}

static void server_stop(struct server *s)
{
    struct fault f = {0};
    struct store_change change = {0};
    struct store_receipt receipt;
    const struct audit_act act = {.action = "service.stop", .object = "service/esignd"};

    worker_notify("STOPPING=1");
    watchdog_stop(&s->watchdog);
    listen_stop(s->listen, SERVER_DRAIN_MS);
    sign_card_stop(s->site);
    authn_sessions_stop(site_sessions(s->site));
    if (site_commit(s->site, &act, &change, clock_mono_ms(site_clock(s->site)) + SERVER_DRAIN_MS,
                    &receipt, &f) != ESIGN_OK)
        log_error("the stop could not be entered code=%s detail=\"%s\"", fault_name(f.rc),
                  f.detail);
    if (site_ready(s->site))
        site_checkpoint_now(s->site);
    log_notice("stopped");
}

static void server_block_signals(sigset_t *ret)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL); /* can't fail for this signal */
    (void)sigemptyset(ret);
    (void)sigaddset(ret, SIGTERM);
    (void)sigaddset(ret, SIGINT);
    (void)sigaddset(ret, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL); /* can't fail with SIG_BLOCK */
}

static int server_failed(const struct fault *f)
{
    log_error("not started code=%s field=%s detail=\"%s\"", fault_name(f->rc), f->field, f->detail);
    return 1;
}

int server_run(const char *config_path)
{
    CLEANUP(server_done) struct server s = {.listen_fd = -1};
    struct fault f = {0};
    sigset_t signals;

    api_decode_start();
    server_block_signals(&signals);
    if (server_open(&s, config_path, &f) != ESIGN_OK || server_listen(&s, &f) != ESIGN_OK)
        return server_failed(&f);
    log_notice("ready version=%s system_class=%s system=%s separation=%s", ESIGN_VERSION,
               config_str(s.config, "system_class"), site_system(s.site),
               config_str(s.config, "separation"));
    if (!site_is_production(s.site))
        log_warn("signatures of this service are marked system=test");
    worker_notify("READY=1");
    server_loop(&s, &signals);
    server_stop(&s);
    return 0;
}
