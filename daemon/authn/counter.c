/* The counter of a signer's consecutive failures. */
#include <stdio.h>
#include <string.h>

#include "audit/record.h"
#include "authn/authn_internal.h"
#include "base/cleanup.h"

enum {
    COUNTER_TRIES = 32,       /* parallel writers that move one counter */
    COUNTER_ENTER_MS = 10000, /* to write what became of a try */
};

static json_t *counter_entry(const struct authn_try *t, const struct authn_told *told)
{
    char object[80];

    (void)snprintf(object, sizeof(object), "signer/%s", t->attempt_id); /* ids are bounded */
    const struct audit_act act = {.action = told->action,
                                  .object = object,
                                  .result = told->result,
                                  .result_reason = told->reason,
                                  .application = t->claim->application,
                                  .terminal = t->claim->terminal,
                                  .alert = told->alert};
    return audit_record(&act);
}

enum esign_rc authn_enter(const struct authn_try *t, const struct authn_told *told,
                          struct store_change *change, int64_t deadline_at_ms, int64_t *ret_seq,
                          struct fault *f)
{
    CLEANUP(json_decref_p) json_t *entry = counter_entry(t, told);
    struct store_receipt receipt = {.seq = -1};
    bool whole = entry != NULL;

    for (size_t i = 0; i < change->row_count; i++)
        whole = whole && change->rows[i].body;
    if (!whole)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    change->entry = entry;
    enum esign_rc rc = store_commit(t->store, change, deadline_at_ms, &receipt, f);
    change->entry = NULL;
    if (rc == ESIGN_OK && ret_seq)
        *ret_seq = receipt.seq;
    return rc;
}

int64_t authn_enter_until(const struct authn_try *t)
{
    return clock_mono_ms(store_clock(t->store)) + COUNTER_ENTER_MS;
}

json_t *authn_attempt_row(const struct authn_try *t, int64_t failures)
{
    return json_pack("{s:s, s:I, s:I}", "signer_id", t->attempt_id, "failures",
                     (json_int_t)failures, "failed_mono_ms",
                     (json_int_t)clock_mono_ms(store_clock(t->store)));
}

enum esign_rc authn_read_counter(struct authn_try *t, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    int64_t seq = -1;
    enum esign_rc rc = store_get(t->store, "attempt", t->attempt_id, &row, &seq, f);

    if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
        return rc;
    t->failures = rc == ESIGN_OK ? json_int(row, "failures", 0) : 0;
    t->failures_seq = rc == ESIGN_OK ? seq : -1;
    t->failed_mono_ms = json_int(row, "failed_mono_ms", 0);
    return ESIGN_OK;
}

/* How much of the delay after the last failure is left.  Told by the monotonic clock alone, so that
 * nobody ends a delay, or makes it longer, by setting the machine's time.  A failure of an earlier
 * process, whose monotonic times need not be ours, is at least as old as this process: its delay
 * begins anew when the store is opened, which ends it at most one delay after a restart. */
static int64_t counter_left_ms(const struct authn_try *t)
{
    const struct store_opened opened = store_opened(t->store);
    int64_t delay_ms = authn_delay_ms(&t->claim->limits, t->failures);
    int64_t from_ms = t->failures_seq < opened.size ? opened.mono_ms : t->failed_mono_ms;
    int64_t left_ms = from_ms + delay_ms - clock_mono_ms(store_clock(t->store));

    return left_ms < delay_ms ? left_ms : delay_ms;
}

static enum esign_rc counter_refuse(const struct authn_try *t, enum esign_rc refused,
                                    const char *reason, struct fault *f)
{
    const struct authn_told told = {"attempt.refused", refused, reason, AUDIT_ALERT_NONE};
    struct store_change change = {0};

    return authn_enter(t, &told, &change, t->claim->deadline_at_ms, NULL, f);
}

enum esign_rc authn_check_counter(const struct authn_try *t, struct fault *f)
{
    int64_t left_s = (counter_left_ms(t) + 999) / 1000;

    if (t->failures >= t->claim->limits.lock_after) {
        enum esign_rc rc = counter_refuse(t, ESIGN_E_SIGNER_STATE, "locked", f);
        return rc != ESIGN_OK
                   ? rc
                   : fault_reason(f, ESIGN_E_SIGNER_STATE, "locked",
                                  "too many failures; ask an officer to unlock this signer");
    }
    if (left_s <= 0)
        return ESIGN_OK;
    enum esign_rc rc = counter_refuse(t, ESIGN_E_RATE, "delay", f);
    return rc != ESIGN_OK ? rc
                          : fault_retry(f, ESIGN_E_RATE, "delay", (int)left_s,
                                        "after failures this signer must wait; try again in %lld s",
                                        (long long)left_s);
}

enum audit_alert authn_failure_alert(const struct authn_limits *limits, int64_t failures)
{
    if (failures >= limits->lock_after)
        return AUDIT_ALERT_LOCKOUT;
    return failures == limits->alert_after ? AUDIT_ALERT_FAILURES : AUDIT_ALERT_NONE;
}

/* The entry of failure number t->failures of the signer, or of an unknown code. */
static struct authn_told counter_told(const struct authn_try *t)
{
    struct authn_told told = {"attempt.failed", ESIGN_E_AUTH_FAILED, NULL, AUDIT_ALERT_NONE};

    if (!t->signer)
        return told;
    told.alert = authn_failure_alert(&t->claim->limits, t->failures);
    if (told.alert == AUDIT_ALERT_LOCKOUT)
        told.action = "signer.lock";
    return told;
}

/* One attempt to count.  ESIGN_E_CONFLICT: somebody was faster. */
static enum esign_rc counter_rise(struct authn_try *t, struct fault *f)
{
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "free");
    CLEANUP(json_decref_p) json_t *attempt = NULL;

    enum esign_rc rc = authn_read_counter(t, f);
    if (rc != ESIGN_OK)
        return rc;
    if (t->signer) {
        attempt = authn_attempt_row(t, ++t->failures);
        change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
        change.guards[change.guard_count++] =
            (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    }
    authn_slot_free_into(t, slot, &change);
    const struct authn_told told = counter_told(t);
    return authn_enter(t, &told, &change, authn_enter_until(t), NULL, f);
}

enum esign_rc authn_count(struct authn_try *t, struct fault *f)
{
    for (int i = 0; i < COUNTER_TRIES; i++) {
        enum esign_rc rc = counter_rise(t, f);
        if (rc == ESIGN_OK)
            return fault_set(f, ESIGN_E_AUTH_FAILED,
                             "the identification code or the password is wrong");
        if (rc != ESIGN_E_CONFLICT)
            return rc;
    }
    return fault_set(f, ESIGN_E_INTERNAL, "a failure could not be counted");
}

enum esign_rc authn_reset(const struct authn_try *t, struct fault *f)
{
    const struct authn_told told = {"attempt.reset", ESIGN_OK, NULL, AUDIT_ALERT_NONE};
    struct store_change change = {0};

    if (t->failures == 0)
        return ESIGN_OK;
    CLEANUP(json_decref_p) json_t *attempt = authn_attempt_row(t, 0);
    change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    enum esign_rc rc = authn_enter(t, &told, &change, authn_enter_until(t), NULL, f);
    return rc == ESIGN_E_CONFLICT ? ESIGN_OK : rc;
}

enum esign_rc authn_count_failure(struct store *store, const struct authn_claim *claim,
                                  const char *signer_id, struct fault *f)
{
    CLEANUP(authn_try_done) struct authn_try t = {.store = store, .claim = claim};

    (void)snprintf(t.attempt_id, sizeof(t.attempt_id), "%s", signer_id); /* ids are bounded */
    enum esign_rc rc = store_get(store, "signer", signer_id, &t.signer, &t.signer_seq, f);
    return rc != ESIGN_OK ? rc : authn_count(&t, f);
}

enum esign_rc authn_is_locked(struct store *store, const char *signer_id, int64_t lock_after,
                              bool *ret, struct fault *f)
{
    struct authn_try t = {.store = store};

    (void)snprintf(t.attempt_id, sizeof(t.attempt_id), "%s", signer_id); /* ids are bounded */
    enum esign_rc rc = authn_read_counter(&t, f);
    if (rc == ESIGN_OK)
        *ret = t.failures >= lock_after;
    return rc;
}
