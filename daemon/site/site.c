#include "site/site_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "cms/keys.h"
#include "site/waiting.h"

static const char *const site_role_options[] = {"roles.signer", "roles.ca", "roles.log",
                                                "roles.kek"};

static size_t site_token_index(const struct site *s, enum site_role role)
{
    /* config_load has checked that the token exists, and callers of SITE_KEK that it has one */
    return (size_t)config_token_by_name(s->config, config_str(s->config, site_role_options[role]));
}

static enum esign_rc site_open_tokens(struct site *s, struct fault *f)
{
    for (size_t i = 0; i < config_token_count(s->config); i++) {
        enum esign_rc rc = token_open(
            config_token_str(s->config, i, "name"), config_token_str(s->config, i, "socket"),
            (unsigned)config_token_int(s->config, i, "workers"), &s->tokens[i], f);
        if (rc != ESIGN_OK)
            return rc;
        s->token_count++;
    }
    return ESIGN_OK;
}

/* Whether the site's row exists. */
static enum esign_rc site_find_ready(struct site *s, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(s->store, "site", "site", &row, NULL, f);

    atomic_store(&s->ready, rc == ESIGN_OK);
    return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
}

static void site_note(void *ctx, const struct store_change *change)
{
    struct site *s = ctx;

    counters_note(&s->counters, change->entry);
    audit_alert_note(change->entry);
    site_sessions_note(s, change);
}

static enum esign_rc site_open_parts(struct site *s, struct fault *f)
{
    const struct config *c = s->config;
    enum esign_rc rc = store_open(config_str(c, "store.path"), s->clock, &s->store, f);

    if (rc == ESIGN_OK)
        store_observe(s->store, site_note, s);
    if (rc == ESIGN_OK)
        rc = audit_open(s->store, config_str(c, "site.origin"), &s->audit, f);
    if (rc == ESIGN_OK)
        rc = hash_open(config_str(c, "hash.socket"), (unsigned)config_int(c, "hash.workers"),
                       &s->hash, f);
    if (rc == ESIGN_OK)
        rc = document_open(config_str(c, "document.socket"),
                           (unsigned)config_int(c, "document.workers"), &s->document, f);
    if (rc == ESIGN_OK)
        rc = site_open_tokens(s, f);
    if (rc == ESIGN_OK)
        rc = cms_keys_open(&s->public_keys, f);
    if (rc == ESIGN_OK)
        rc = site_sessions_open(s, f);
    if (rc == ESIGN_OK)
        rc = site_find_ready(s, f);
    return rc == ESIGN_OK ? site_find_restored(s, f) : rc;
}

enum esign_rc site_open(const struct config *config, const struct clock *clock, struct site **ret,
                        struct fault *f)
{
    struct site *s = calloc(1, sizeof(*s));

    if (!s)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the service");
    s->config = config;
    s->clock = clock;
    (void)pthread_mutex_init(&s->expiry.mutex, NULL); /* only fills in a structure */
    (void)pthread_mutex_init(&s->loaded.mutex, NULL); /* as above */
    turns_init(&s->turns);
    s->waiting = waiting_new();
    enum esign_rc rc = s->waiting ? site_open_parts(s, f)
                                  : fault_set(f, ESIGN_E_INTERNAL, "no memory for the service");
    if (rc != ESIGN_OK) {
        site_close(s);
        return rc;
    }
    *ret = s;
    return ESIGN_OK;
}

void site_close(struct site *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->token_count; i++)
        token_close(s->tokens[i]);
    document_close(s->document);
    hash_close(s->hash);
    audit_close(s->audit);
    store_close(s->store);
    authn_sessions_free(s->sessions);
    cms_keys_close(s->public_keys);
    (void)pthread_mutex_destroy(&s->expiry.mutex); /* nobody holds it */
    (void)pthread_mutex_destroy(&s->loaded.mutex); /* as above */
    turns_done(&s->turns);
    waiting_free(s->waiting);
    free(s);
}

const struct config *site_config(const struct site *s)
{
    return s->config;
}

const struct clock *site_clock(const struct site *s)
{
    return s->clock;
}

struct turns *site_turns(struct site *s)
{
    return &s->turns;
}

struct store *site_store(const struct site *s)
{
    return s->store;
}

struct audit *site_audit(const struct site *s)
{
    return s->audit;
}

struct hash *site_hash(const struct site *s)
{
    return s->hash;
}

struct cms_keys *site_public_keys(const struct site *s)
{
    return s->public_keys;
}

struct document *site_document(const struct site *s)
{
    return s->document;
}

struct token *site_token_at(const struct site *s, size_t index)
{
    return s->tokens[index];
}

struct token *site_token(const struct site *s, enum site_role role)
{
    return config_str(s->config, site_role_options[role])[0] ? s->tokens[site_token_index(s, role)]
                                                             : NULL;
}

enum token_algorithm site_algorithm(const struct site *s, enum site_role role)
{
    return token_algorithm_by_name(
        config_token_str(s->config, site_token_index(s, role), "key_algorithm"));
}

int64_t site_token_deadline(const struct site *s, enum site_role role, int64_t deadline_at_ms)
{
    int64_t own = clock_mono_ms(s->clock) +
                  config_token_int(s->config, site_token_index(s, role), "deadline_ms");

    return own < deadline_at_ms ? own : deadline_at_ms;
}

bool site_is_production(const struct site *s)
{
    return strcmp(config_str(s->config, "system"), "production") == 0 &&
           strcmp(config_str(s->config, "separation"), "none") != 0;
}

const char *site_system(const struct site *s)
{
    return site_is_production(s) ? "production" : "test";
}

void site_set_traffic(struct site *s, site_count count, void *ctx)
{
    s->count_ctx = ctx;
    atomic_store(&s->count, count);
}

void site_traffic(struct site *s, struct site_traffic *ret)
{
    site_count count = atomic_load(&s->count);

    *ret = (struct site_traffic){0};
    if (count)
        count(s->count_ctx, ret);
}

const struct counters *site_counters(const struct site *s)
{
    return &s->counters;
}

struct expiry *site_expiry(struct site *s)
{
    return &s->expiry;
}

void site_set_start(struct site *s, const struct site_start *start)
{
    s->start = *start;
}

const struct site_start *site_start(const struct site *s)
{
    return &s->start;
}

struct waiting *site_waiting(const struct site *s)
{
    return s->waiting;
}

struct loaded_slot *site_loaded(struct site *s)
{
    return &s->loaded;
}

bool site_ready(struct site *s)
{
    return atomic_load(&s->ready) && !site_waits(s);
}

void site_set_ready(struct site *s)
{
    atomic_store(&s->ready, true);
}

enum esign_rc site_clock_state(const struct site *s, const char **ret_state, int64_t *ret_error_ms,
                               struct fault *f)
{
    int64_t error_ms = -1;
    bool synchronised = clock_synchronised(&error_ms);
    bool bounded = error_ms >= 0 && error_ms <= config_int(s->config, "clock.max_error_ms");

    *ret_state = synchronised ? "synchronised" : "unsynchronised";
    *ret_error_ms = error_ms;
    if (config_bool(s->config, "clock.require_sync") && !(synchronised && bounded))
        return fault_set(
            f, ESIGN_E_CLOCK,
            "the clock is not synchronised (option clock.require_sync); nothing is signed");
    return ESIGN_OK;
}

void site_new_id(char letter, char ret[SITE_ID_MAX])
{
    static const char alphabet[] = "234567abcdefghijklmnopqrstuvwxyz"; /* in the order of bytes */
    uint8_t random[SITE_ID_CHARS - SITE_ID_TIME];
    int64_t now_ms = clock_now_ms(clock_system());

    bytes_random(random, sizeof(random));
    ret[0] = letter;
    ret[1] = '-';
    for (int i = 0; i < SITE_ID_TIME; i++)
        ret[2 + i] = alphabet[now_ms >> 5 * (SITE_ID_TIME - 1 - i) & 31];
    for (size_t i = 0; i < sizeof(random); i++)
        ret[2 + SITE_ID_TIME + i] = alphabet[random[i] & 31];
    ret[2 + SITE_ID_CHARS] = '\0';
}

enum esign_rc site_commit(struct site *s, const struct audit_act *act, struct store_change *change,
                          int64_t deadline_at_ms, struct store_receipt *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *entry = audit_record(act);

    if (!entry)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    for (size_t i = 0; i < change->row_count; i++)
        if (!change->rows[i].body)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    change->entry = entry;
    enum esign_rc rc = store_commit(s->store, change, deadline_at_ms, ret, f);
    change->entry = NULL;
    return rc;
}

void site_put(struct store_change *change, const char *kind, const char *id, json_t *body)
{
    assert(change->row_count < STORE_ROWS_MAX); /* a change is written out in the code */
    change->rows[change->row_count++] = (struct store_row){kind, id, body};
}

void site_guard(struct store_change *change, const char *kind, const char *id, int64_t seq)
{
    assert(change->guard_count < STORE_ROWS_MAX);
    change->guards[change->guard_count++] = (struct store_guard){kind, id, seq};
}

enum esign_rc site_policy(struct site *s, json_t **ret, int64_t *ret_seq, struct fault *f)
{
    return store_get(s->store, "policy", "policy", ret, ret_seq, f);
}

enum esign_rc site_decode(const json_t *row, const char *member, struct buf *out, struct fault *f)
{
    const char *text = json_str(row, member);

    buf_clear(out);
    if (!text || decode_base64(text, strlen(text), out) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "a row has no usable member %s", member);
    return ESIGN_OK;
}

json_t *site_encode(struct bytes bytes)
{
    CLEANUP(buf_done) struct buf text = buf_new(bytes.len * 2 + 8);

    encode_base64(bytes, &text);
    const char *string = buf_str(&text);
    return string ? json_string(string) : NULL;
}
