/* Measuring the running service: what a monitor asks for. */
#include "site/watch.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "audit/checkpoint.h"
#include "authn/session.h"
#include "base/cleanup.h"
#include "site/expiry.h"

static int64_t watch_until(struct site *s, int64_t deadline_at_ms)
{
    int64_t own = clock_mono_ms(site_clock(s)) + WATCH_ANSWER_MS;

    return own < deadline_at_ms ? own : deadline_at_ms;
}

static void watch_answer(struct watch *w, const char *prefix, const char *name, enum esign_rc rc,
                         const struct fault *f)
{
    struct watch_answer *answer = &w->answers[w->answer_count++];

    answer->answers = rc == ESIGN_OK;
    (void)snprintf(answer->name, sizeof(answer->name), "%s%s", prefix, name); /* names are short */
    if (rc != ESIGN_OK)
        (void)snprintf(answer->detail, sizeof(answer->detail), "%s: %s", fault_name(rc), f->detail);
}

static void watch_helpers(struct site *s, int64_t deadline_at_ms, struct watch *w)
{
    for (size_t i = 0; i < config_token_count(site_config(s)); i++) {
        struct token_info info = {0};
        struct fault f = {0};
        enum esign_rc rc =
            token_info(site_token_at(s, i), watch_until(s, deadline_at_ms), &info, &f);
        watch_answer(w, "token-", token_name(site_token_at(s, i)), rc, &f);
        w->token_count++;
    }
    struct fault hash = {0}, document = {0};
    enum esign_rc rc = hash_ping(site_hash(s), watch_until(s, deadline_at_ms), &hash);
    watch_answer(w, "", "hash", rc, &hash);
    rc = document_ping(site_document(s), watch_until(s, deadline_at_ms), &document);
    watch_answer(w, "", "document", rc, &document);
}

/* The age of one entry. */
static enum esign_rc watch_age(struct site *s, int64_t seq, int64_t *ret_ms, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    int64_t at_ms = 0;
    enum esign_rc rc = store_entry(site_store(s), seq, &bytes, f);

    if (rc == ESIGN_OK)
        rc = json_parse_object(buf_bytes(&bytes), &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *time = json_str(entry, "time");
    if (!time || clock_parse_utc(time, &at_ms) != ESIGN_OK)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "entry %lld has no time", (long long)seq);
    int64_t age_ms = clock_now_ms(site_clock(s)) - at_ms;
    *ret_ms = age_ms > 0 ? age_ms : 0;
    return ESIGN_OK;
}

static enum esign_rc watch_checkpoint(struct site *s, struct watch_audit *a, struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    enum esign_rc rc = store_checkpoint(site_store(s), &note, &a->checkpoint_size, f);

    if (rc == ESIGN_E_NOT_FOUND) {
        a->checkpoint_size = -1;
        rc = ESIGN_OK;
    }
    int64_t covered = a->checkpoint_size > 0 ? a->checkpoint_size : 0;
    if (rc == ESIGN_OK && covered > 0)
        rc = watch_age(s, covered - 1, &a->checkpoint_age_ms, f);
    if (rc == ESIGN_OK && covered < a->size)
        rc = watch_age(s, covered, &a->uncovered_ms, f);
    return rc;
}

static void watch_audit(struct site *s, struct watch_audit *a)
{
    struct fault f = {0};
    int64_t busy_since_ms = store_busy_since(site_store(s));

    a->size = store_size(site_store(s));
    a->state = store_state_now(site_store(s));
    a->checkpoint_age_ms = -1;
    a->checkpoint_after_ms = config_int(site_config(s), "audit.checkpoint_s") * 1000;
    a->writer_busy_ms = busy_since_ms ? clock_mono_ms(site_clock(s)) - busy_since_ms : 0;
    enum esign_rc rc = watch_checkpoint(s, a, &f);
    if (rc != ESIGN_OK)
        (void)snprintf(a->detail, sizeof(a->detail), "%s: %s", fault_name(rc), f.detail);
}

static int64_t watch_free_bytes(struct site *s)
{
    struct statvfs disk;

    if (statvfs(config_str(site_config(s), "store.path"), &disk) != 0)
        return -1;
    return (int64_t)(disk.f_bavail * disk.f_frsize);
}

static void watch_clock(struct site *s, struct watch_clock *c)
{
    c->required = config_bool(site_config(s), "clock.require_sync");
    c->max_error_ms = config_int(site_config(s), "clock.max_error_ms");
    c->synchronised = clock_synchronised(&c->error_ms);
}

void site_measure(struct site *s, int64_t deadline_at_ms, struct watch *ret)
{
    *ret = (struct watch){.initialised = site_ready(s),
                          .waits = site_waits(s),
                          .free_bytes = watch_free_bytes(s),
                          .config = loaded_get(s),
                          .start = *site_start(s),
                          .sessions = authn_sessions_count(site_sessions(s)),
                          .running_ms = clock_now_ms(site_clock(s)) - site_start(s)->at_ms};
    site_restored_text(site_restored(s), ret->restored);
    watch_clock(s, &ret->clock);
    watch_audit(s, &ret->audit);
    if (ret->initialised)
        expiry_find(s, ret);
    watch_helpers(s, deadline_at_ms, ret);
}
