/* The slots in which tries are reserved before the slow hash: a signer has as many as failures are
 * left before the lock, so that of many parallel tries no more are evaluated. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "authn/authn_internal.h"
#include "base/cleanup.h"

enum { SLOTS_WAIT_MS = 20 /* between two looks for a free slot */ };

static const struct authn_told slots_reserved = {"attempt.reserve", ESIGN_OK, NULL,
                                                 AUDIT_ALERT_NONE};

json_t *authn_slot_row(const struct authn_try *t, const char *state)
{
    return json_pack("{s:s, s:s}", "signer_id", t->attempt_id, "state", state);
}

void authn_slot_free_into(const struct authn_try *t, json_t *slot, struct store_change *change)
{
    if (!t->slot_id[0])
        return;
    change->rows[change->row_count++] = (struct store_row){"try", t->slot_id, slot};
    if (t->signer)
        change->guards[change->guard_count++] =
            (struct store_guard){"try", t->slot_id, t->slot_seq};
}

/* The lowest free slot, if failures and taken slots leave one; -2: none.  ret: its generation, -1:
 * never used.  Two who count at once want the same slot, and its guard lets one pass. */
static enum esign_rc slots_find_free(struct authn_try *t, int64_t *ret, struct fault *f)
{
    int64_t used = t->failures;

    *ret = -2;
    for (int64_t slot = 0; slot < t->claim->limits.lock_after; slot++) {
        CLEANUP(json_decref_p) json_t *row = NULL;
        char id[sizeof(t->slot_id)];
        int64_t seq = -1;
        (void)snprintf(id, sizeof(id), "%s.%lld", t->attempt_id, (long long)slot);
        enum esign_rc rc = store_get(t->store, "try", id, &row, &seq, f);
        if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
            return rc;
        if (rc == ESIGN_OK && strcmp(json_str(row, "state"), "free") != 0) {
            used++;
        } else if (*ret == -2) {
            *ret = rc == ESIGN_OK ? seq : -1;
            memcpy(t->slot_id, id, sizeof(id));
        }
    }
    if (used >= t->claim->limits.lock_after)
        *ret = -2;
    return ESIGN_OK;
}

/* One attempt at a slot.  ESIGN_E_CONFLICT: somebody was faster; ESIGN_E_RATE: none is free. */
static enum esign_rc slots_take_one(struct authn_try *t, struct fault *f)
{
    int64_t seq = -1;
    struct store_change change = {0};
    enum esign_rc rc = authn_read_counter(t, f);

    if (rc == ESIGN_OK)
        rc = authn_check_lock(t, f);
    if (rc == ESIGN_OK)
        rc = slots_find_free(t, &seq, f);
    if (rc != ESIGN_OK)
        return rc;
    if (seq == -2)
        return fault_set(f, ESIGN_E_RATE,
                         "other tries of this signer are being checked; try again");
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "taken");
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    change.guards[change.guard_count++] = (struct store_guard){"try", t->slot_id, seq};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    return authn_enter(t, &slots_reserved, &change, t->claim->deadline_at_ms, &t->slot_seq, f);
}

/* Wait for other tries of the same signer as long as the request lives. */
static bool slots_may_wait(const struct authn_try *t)
{
    const struct timespec pause = {0, SLOTS_WAIT_MS * 1000000L};

    if (clock_mono_ms(clock_system()) + 2 * SLOTS_WAIT_MS >= t->claim->deadline_at_ms)
        return false;
    (void)nanosleep(&pause, NULL); /* woken early: looks once more */
    return true;
}

/* An unknown code costs the same writes, but nobody's slot. */
static enum esign_rc slots_take_unknown(struct authn_try *t, struct fault *f)
{
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "taken");

    (void)snprintf(t->slot_id, sizeof(t->slot_id), "%s.0", t->attempt_id);
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    return authn_enter(t, &slots_reserved, &change, t->claim->deadline_at_ms, &t->slot_seq, f);
}

enum esign_rc authn_slot_take(struct authn_try *t, struct fault *f)
{
    if (!t->signer)
        return slots_take_unknown(t, f);
    for (;;) {
        enum esign_rc rc = slots_take_one(t, f);
        if (rc == ESIGN_E_CONFLICT)
            continue; /* another writer made progress */
        if (rc != ESIGN_E_RATE || !slots_may_wait(t))
            return rc;
    }
}
