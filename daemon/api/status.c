/* /v1/status, /v1/init, /v1/ca and the lists of the register. */
#include <string.h>

#include "api/handlers.h"
#include "authn/session.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "site/loaded.h"
#include "site/restored.h"

enum { STATUS_TOKEN_MS = 1000 };

static json_t *status_roles(struct site *s, size_t index)
{
    static const struct {
        enum site_role role;
        const char *name;
    } roles[] = {{SITE_SIGNER, "signer"}, {SITE_CA, "ca"}, {SITE_LOG, "log"}, {SITE_KEK, "kek"}};
    json_t *array = json_array();

    for (size_t i = 0; array && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (site_token(s, roles[i].role) == site_token_at(s, index) &&
            json_array_append_new(array, json_string(roles[i].name)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* A token's state; one that doesn't answer is unavailable, never forgotten. */
static json_t *status_token(struct site *s, size_t index)
{
    struct token_info info = {0};
    struct fault f = {0};
    int64_t deadline = clock_mono_ms(site_clock(s)) + STATUS_TOKEN_MS;
    bool ready = token_info(site_token_at(s, index), deadline, &info, &f) == ESIGN_OK;
    unsigned workers = (unsigned)config_token_int(site_config(s), index, "workers");

    if (ready && info.room > 0 && info.room < workers)
        (void)snprintf(f.detail, sizeof(f.detail), "the token has room for %u of %u workers",
                       info.room, workers);
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s}", "name", token_name(site_token_at(s, index)),
                     "role", status_roles(s, index), "state", ready ? "ready" : "unavailable",
                     "label", info.label, "serial", info.serial, "detail", f.detail);
}

static json_t *status_tokens(struct site *s)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < config_token_count(site_config(s)); i++)
        if (json_array_append_new(array, status_token(s, i)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* What an administrator should know although everything runs. */
static json_t *status_warnings(struct site *s)
{
    CLEANUP(json_decref_p) json_t *warnings = json_array();
    int failed = 0;

    if (strcmp(config_str(site_config(s), "separation"), "none") == 0)
        failed |= json_array_append_new(
            warnings,
            json_string("separation=none: all services run as one user, which can read every "
                        "PIN; signatures are marked system=test"));
    if (!config_bool(site_config(s), "clock.require_sync"))
        failed |= json_array_append_new(
            warnings, json_string("clock.require_sync is off: signatures tell the clock's state"));
    failed |= json_array_append_new(
        warnings,
        json_string("anchor=local: entries newer than a checkpoint kept elsewhere can be cut "
                    "off by who owns this disk"));
    return failed ? NULL : TAKE(warnings);
}

static json_t *status_peer(const struct api_request *request)
{
    const char *kind = request->peer.kind == API_PEER_APPLICATION ? "application"
                       : request->peer.kind == API_PEER_TERMINAL  ? "terminal"
                                                                  : "owner";

    return json_pack("{s:s, s:s}", "kind", kind, "id", request->peer.id);
}

static json_t *status_config(struct site *s)
{
    const struct loaded loaded = loaded_get(s);
    char since[CLOCK_TEXT];

    clock_format_utc(loaded.since_ms, since);
    return json_pack("{s:s, s:s, s:b, s:s}", "hash", loaded.hash, "since", since, "refused",
                     loaded.refused, "detail", loaded.detail);
}

static json_t *status_start(struct site *s)
{
    char at[CLOCK_TEXT];
    json_t *start = site_start_json(site_start(s));

    clock_format_utc(site_start(s)->at_ms, at);
    if (start && json_object_set_new(start, "at", json_string(at)) != 0) {
        json_decref(start);
        return NULL;
    }
    return start;
}

/* "ready", "uninitialised", or "restored": the store was put back and waits for officers. */
static const char *status_state(struct site *s)
{
    if (site_waits(s))
        return "restored";
    return site_ready(s) ? "ready" : "uninitialised";
}

/* What is lost by the store that was put back and waits; or by the newest that was accepted. */
static enum esign_rc status_restored(struct site *s, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *rows = NULL;

    if (site_waits(s)) {
        *ret = site_restored_json(site_restored(s));
        return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    }
    enum esign_rc rc = store_list(site_store(s), "restoration", NULL, NULL, NULL,
                                  AUDIT_RESTORATIONS_MAX, &rows, f);
    size_t count = json_array_size(rows);
    if (rc == ESIGN_OK && count > 0) /* identifiers sort by time */
        *ret = json_incref(json_object_get(json_array_get(rows, count - 1), "body"));
    return rc;
}

HANDLER(handle_status)
{
    struct site *s = handler_site(request);
    const struct config *c = site_config(s);
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    int64_t error_ms = -1, checkpoint_size = -1;
    bool synchronised = clock_synchronised(&error_ms);
    json_t *restored = NULL;
    enum esign_rc rc = store_checkpoint(site_store(s), &note, &checkpoint_size, f);

    if (rc == ESIGN_E_NOT_FOUND) {
        checkpoint_size = -1;
        rc = ESIGN_OK;
    }
    if (rc == ESIGN_OK)
        rc = status_restored(s, &restored, f);
    if (rc != ESIGN_OK)
        return rc;
    return handler_reply(
        reply, 200,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:I}, s:s, s:{s:I, s:I}, s:o, s:I, s:o, s:o, "
                  "s:o, s:o, s:o*}",
                  "version", ESIGN_VERSION, "state", status_state(s), "system_class",
                  config_str(c, "system_class"), "system", site_system(s), "separation",
                  config_str(c, "separation"), "clock", "state",
                  synchronised ? "synchronised" : "unsynchronised", "error_ms",
                  (json_int_t)error_ms, "anchor", "local", "audit", "size",
                  (json_int_t)store_size(site_store(s)), "checkpoint_size",
                  (json_int_t)checkpoint_size, "tokens", status_tokens(s), "sessions",
                  (json_int_t)authn_sessions_count(site_sessions(s)), "configuration",
                  status_config(s), "start", status_start(s), "peer", status_peer(request),
                  "warnings", status_warnings(s), "restored", restored),
        f);
}

HANDLER(handle_tokens)
{
    return handler_reply(reply, 200,
                         json_pack("{s:o}", "items", status_tokens(handler_site(request))), f);
}

/* The issuing certificate and the log's public key: what a verifier needs to trust us. */
static enum esign_rc status_trust(struct site *s, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(buf_done) struct buf certificate = buf_new(SITE_CERT_MAX);
    enum esign_rc rc = store_get(site_store(s), "site", "site", &row, NULL, f);

    if (rc == ESIGN_OK)
        rc = site_decode(row, "ca_certificate", &certificate, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = json_pack("{s:o, s:s, s:s}", "certificate", handler_pem(buf_bytes(&certificate)),
                     "log_spki", json_str(row, "log_spki"), "origin", json_str(row, "origin"));
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

HANDLER(handle_ca)
{
    json_t *trust = NULL;
    enum esign_rc rc = status_trust(handler_site(request), &trust, f);

    return rc == ESIGN_OK ? handler_reply(reply, 200, trust, f) : rc;
}

HANDLER(handle_init)
{
    const struct register_origin origin = handler_origin(request);
    CLEANUP(json_decref_p) json_t *done = NULL;
    CLEANUP(json_decref_p) json_t *trust = NULL;
    enum esign_rc rc = register_init(handler_site(request), request->body, &origin, &done, f);

    if (rc == ESIGN_OK)
        rc = status_trust(handler_site(request), &trust, f);
    if (rc != ESIGN_OK)
        return rc;
    log_notice("the service is initialised peer_uid=%u", (unsigned)request->peer.uid);
    return handler_reply(reply, 201,
                         json_pack("{s:O, s:O, s:O, s:O, s:O}", "ca_certificate",
                                   json_object_get(trust, "certificate"), "log_spki",
                                   json_object_get(trust, "log_spki"), "origin",
                                   json_object_get(trust, "origin"), "officers",
                                   json_object_get(done, "officers"), "checkpoint",
                                   json_object_get(done, "checkpoint")),
                         f);
}

HANDLER(handle_applications)
{
    static const struct handler_list list = {.kind = "application"};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_terminals)
{
    static const struct handler_list list = {.kind = "terminal"};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_meanings)
{
    static const struct handler_list list = {.kind = "meaning"};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_plans)
{
    static const struct handler_list list = {.kind = "plan"};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_statements)
{
    static const struct handler_list list = {.kind = "statement"};

    return handler_list(request, &list, reply, f);
}
