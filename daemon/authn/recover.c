/* After a restart: the tries that a stop left undecided. */
#include <stdio.h>
#include <string.h>

#include "authn/authn_internal.h"
#include "base/cleanup.h"

enum { RECOVER_TRIES = 32 }; /* parallel writers that move one counter */

/* The walk over the slots that are taken. */
struct recover_walk {
    struct store *store;
    const struct authn_claim *nobody;
    size_t count;
};

/* Free the slot and count its try.  ESIGN_E_CONFLICT: slot or counter have moved. */
static enum esign_rc recover_try(struct authn_try *t, struct fault *f)
{
    struct store_change change = {0};
    enum esign_rc rc = authn_read_counter(t, f);

    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *freed = authn_slot_row(t, "free");
    CLEANUP(json_decref_p) json_t *attempt = authn_attempt_row(t, t->failures + 1);
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, freed};
    change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
    change.guards[change.guard_count++] = (struct store_guard){"try", t->slot_id, t->slot_seq};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    const struct authn_told told = {"attempt.interrupted", ESIGN_E_AUTH_FAILED, "restart",
                                    authn_failure_alert(&t->claim->limits, t->failures + 1)};
    return authn_enter(t, &told, &change, t->claim->deadline_at_ms, NULL, f);
}

/* One slot that a stop left taken.  Others may try at the same time, so the counter may move. */
static enum esign_rc recover_slot(void *ctx, const struct store_walked *row, struct fault *f)
{
    struct recover_walk *w = ctx;
    struct authn_try t = {.store = w->store, .claim = w->nobody, .slot_seq = row->seq};
    enum esign_rc rc = ESIGN_E_CONFLICT;

    w->count++;
    (void)snprintf(t.attempt_id, sizeof(t.attempt_id), "%s", json_str(row->body, "signer_id"));
    (void)snprintf(t.slot_id, sizeof(t.slot_id), "%.*s", (int)sizeof(t.slot_id) - 1, row->id);
    for (int i = 0; i < RECOVER_TRIES && rc == ESIGN_E_CONFLICT; i++) {
        rc = recover_try(&t, f);
        if (rc == ESIGN_E_CONFLICT && strncmp(f->field, "try/", 4) == 0)
            return ESIGN_OK; /* its owner has ended it after all */
    }
    return rc;
}

enum esign_rc authn_recover(struct store *store, int64_t before, int64_t deadline_at_ms,
                            size_t *ret_count, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc rc = store_get(store, "policy", "policy", &policy, NULL, f);

    if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
        return rc;
    const struct authn_claim nobody = {.limits = authn_limits_of(policy),
                                       .deadline_at_ms = deadline_at_ms};
    struct recover_walk w = {.store = store, .nobody = &nobody};
    const struct store_walk walk = {"try", "state", "taken", before, recover_slot, &w};
    rc = store_walk(store, &walk, f);
    *ret_count = w.count;
    return rc;
}
