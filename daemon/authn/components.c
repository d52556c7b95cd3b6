#include "authn/components.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit/record.h"
#include "authn/credential.h"
#include "base/cleanup.h"

enum {
    COMPONENTS_TRIES = 32,        /* parallel writers that move one counter */
    COMPONENTS_WAIT_MS = 20,      /* between two looks for a free slot */
    COMPONENTS_SETTLE_MS = 10000, /* to write what became of a try */
    COMPONENTS_RECOVER_BATCH = 100,
};

/* One try while it is being decided. */
struct components_try {
    struct store *store;
    const struct authn_claim *claim;
    enum authn_purpose purpose;
    json_t *signer, *credential; /* NULL: the code is unknown or has no password yet */
    int64_t signer_seq, credential_seq;
    int64_t failures, failures_seq; /* the counter as it was at the reservation */
    char attempt_id[65];            /* signer id, or "unknown" */
    char slot_id[96];
    int64_t slot_seq;
};

static void components_try_done(struct components_try *t)
{
    json_decref(t->signer);
    json_decref(t->credential);
}

void authn_person_done(struct authn_person *p)
{
    json_decref(p->signer);
    json_decref(p->slot);
    *p = (struct authn_person){0};
}

void authn_user_key(const char *user_id, char ret[65])
{
    size_t i = 0;

    for (; user_id[i] && i < 64; i++)
        ret[i] =
            (char)(user_id[i] >= 'A' && user_id[i] <= 'Z' ? user_id[i] - 'A' + 'a' : user_id[i]);
    ret[i] = '\0';
}

enum esign_rc authn_find_signer(struct store *store, const char *user_id, json_t **ret,
                                int64_t *ret_seq, struct fault *f)
{
    char key[65];
    CLEANUP(json_decref_p) json_t *row = NULL;

    authn_user_key(user_id, key);
    enum esign_rc rc = store_get(store, "userid", key, &row, NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    return store_get(store, "signer", json_str(row, "signer_id"), ret, ret_seq, f);
}

/* Signer and credential of the claimed code; an unknown code leaves both NULL. */
static enum esign_rc components_find(struct components_try *t, struct fault *f)
{
    enum esign_rc rc =
        authn_find_signer(t->store, t->claim->user_id, &t->signer, &t->signer_seq, f);

    (void)snprintf(t->attempt_id, sizeof(t->attempt_id), "unknown");
    if (rc == ESIGN_E_NOT_FOUND)
        return ESIGN_OK;
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(t->signer, "signer_id");
    (void)snprintf(t->attempt_id, sizeof(t->attempt_id), "%s", signer_id);
    rc = store_get(t->store, "credential", signer_id, &t->credential, &t->credential_seq, f);
    return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
}

/* An entry about the try.  The typed code of an unknown signer is not written: people type
 * passwords into the wrong field. */
static json_t *components_entry(const struct components_try *t, const char *action,
                                enum esign_rc result, const char *reason)
{
    char object[80];

    (void)snprintf(object, sizeof(object), "signer/%s", t->attempt_id);
    const struct audit_act act = {.action = action,
                                  .object = object,
                                  .result = result,
                                  .result_reason = reason,
                                  .application = t->claim->application,
                                  .terminal = t->claim->terminal};
    return audit_record(&act);
}

static json_t *components_slot(const struct components_try *t, const char *state)
{
    return json_pack("{s:s, s:s}", "signer_id", t->attempt_id, "state", state);
}

static json_t *components_attempt(const struct components_try *t, int64_t failures)
{
    return json_pack("{s:s, s:I}", "signer_id", t->attempt_id, "failures", (json_int_t)failures);
}

/* The counter of this signer; ret_seq -1: there is no row yet. */
static enum esign_rc components_failures(struct store *store, const char *attempt_id,
                                         int64_t *ret_failures, int64_t *ret_seq, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    int64_t seq = -1;
    enum esign_rc rc = store_get(store, "attempt", attempt_id, &row, &seq, f);

    if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
        return rc;
    *ret_failures = rc == ESIGN_OK ? json_int(row, "failures", 0) : 0;
    *ret_seq = rc == ESIGN_OK ? seq : -1;
    return ESIGN_OK;
}

/* Write an entry of the try with its rows. */
static enum esign_rc components_commit(const struct components_try *t, const char *action,
                                       enum esign_rc result, const char *reason,
                                       struct store_change *change, int64_t deadline_at_ms,
                                       int64_t *ret_seq, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *entry = components_entry(t, action, result, reason);
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

static int64_t components_later(void)
{
    return clock_mono_ms(clock_system()) + COMPONENTS_SETTLE_MS;
}

/* The lowest free slot, if failures and taken slots leave one; -2: none.  ret: its generation, -1:
 * never used.  Two who count at once want the same slot, and its guard lets one pass. */
static enum esign_rc components_free_slot(struct components_try *t, int64_t *ret, struct fault *f)
{
    int64_t used = t->failures;

    *ret = -2;
    for (int64_t slot = 0; slot < t->claim->lock_after; slot++) {
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
    if (used >= t->claim->lock_after)
        *ret = -2;
    return ESIGN_OK;
}

static enum esign_rc components_locked(struct components_try *t, struct fault *f)
{
    struct store_change change = {0};
    enum esign_rc rc = components_commit(t, "attempt.refused", ESIGN_E_SIGNER_STATE, "locked",
                                         &change, t->claim->deadline_at_ms, NULL, f);

    return rc != ESIGN_OK ? rc
                          : fault_reason(f, ESIGN_E_SIGNER_STATE, "locked",
                                         "too many failures; ask an officer to unlock this signer");
}

/* One attempt at a slot.  ESIGN_E_CONFLICT: somebody was faster; ESIGN_E_RATE: none is free. */
static enum esign_rc components_take_slot(struct components_try *t, struct fault *f)
{
    int64_t seq = -1;
    struct store_change change = {0};
    enum esign_rc rc =
        components_failures(t->store, t->attempt_id, &t->failures, &t->failures_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (t->failures >= t->claim->lock_after)
        return components_locked(t, f);
    rc = components_free_slot(t, &seq, f);
    if (rc != ESIGN_OK)
        return rc;
    if (seq == -2)
        return fault_set(f, ESIGN_E_RATE,
                         "other tries of this signer are being checked; try again");
    CLEANUP(json_decref_p) json_t *slot = components_slot(t, "taken");
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    change.guards[change.guard_count++] = (struct store_guard){"try", t->slot_id, seq};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    return components_commit(t, "attempt.reserve", ESIGN_OK, NULL, &change,
                             t->claim->deadline_at_ms, &t->slot_seq, f);
}

/* Wait for other tries of the same signer as long as the request lives. */
static bool components_may_wait(const struct components_try *t)
{
    const struct timespec pause = {0, COMPONENTS_WAIT_MS * 1000000L};

    if (clock_mono_ms(clock_system()) + 2 * COMPONENTS_WAIT_MS >= t->claim->deadline_at_ms)
        return false;
    (void)nanosleep(&pause, NULL); /* woken early: looks once more */
    return true;
}

/* An unknown code costs the same writes, but nobody's slot. */
static enum esign_rc components_reserve_unknown(struct components_try *t, struct fault *f)
{
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = components_slot(t, "taken");

    (void)snprintf(t->slot_id, sizeof(t->slot_id), "unknown.0");
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    return components_commit(t, "attempt.reserve", ESIGN_OK, NULL, &change,
                             t->claim->deadline_at_ms, &t->slot_seq, f);
}

static enum esign_rc components_reserve(struct components_try *t, struct fault *f)
{
    if (!t->signer)
        return components_reserve_unknown(t, f);
    for (;;) {
        enum esign_rc rc = components_take_slot(t, f);
        if (rc == ESIGN_E_CONFLICT)
            continue; /* another writer made progress */
        if (rc != ESIGN_E_RATE || !components_may_wait(t))
            return rc;
    }
}

/* Free the slot; guarded, so that only its owner does. */
static void components_free(const struct components_try *t, struct store_change *change,
                            json_t *slot)
{
    change->rows[change->row_count++] = (struct store_row){"try", t->slot_id, slot};
    if (t->signer)
        change->guards[change->guard_count++] =
            (struct store_guard){"try", t->slot_id, t->slot_seq};
}

/* A wrong try: the counter rises in the same commit that frees the slot. */
static enum esign_rc components_count(struct components_try *t, struct fault *f)
{
    for (int i = 0; i < COMPONENTS_TRIES; i++) {
        struct store_change change = {0};
        CLEANUP(json_decref_p) json_t *slot = components_slot(t, "free");
        CLEANUP(json_decref_p) json_t *attempt = NULL;
        if (t->signer) {
            enum esign_rc rc =
                components_failures(t->store, t->attempt_id, &t->failures, &t->failures_seq, f);
            if (rc != ESIGN_OK)
                return rc;
            attempt = components_attempt(t, ++t->failures);
            change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
            change.guards[change.guard_count++] =
                (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
        }
        components_free(t, &change, slot);
        bool locks = t->signer && t->failures >= t->claim->lock_after;
        enum esign_rc rc =
            components_commit(t, locks ? "signer.lock" : "attempt.failed", ESIGN_E_AUTH_FAILED,
                              NULL, &change, components_later(), NULL, f);
        if (rc != ESIGN_E_CONFLICT)
            return rc;
    }
    return fault_set(f, ESIGN_E_INTERNAL, "a failure could not be counted");
}

static enum esign_rc components_refuse(struct components_try *t, struct fault *f)
{
    enum esign_rc rc = components_count(t, f);

    return rc != ESIGN_OK ? rc
                          : fault_set(f, ESIGN_E_AUTH_FAILED,
                                      "the identification code or the password is wrong");
}

/* The hash could not be computed: the try does not count. */
static enum esign_rc components_undecided(struct components_try *t, struct fault *f)
{
    struct fault below = *f, ignored;
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = components_slot(t, "free");

    components_free(t, &change, slot);
    /* if even this can't be written, the slot counts as a failure at the next start */
    (void)components_commit(t, "attempt.undecided", below.rc, below.reason, &change,
                            components_later(), NULL, &ignored);
    *f = below;
    return below.rc;
}

/* Right components of a person who may not act, for the reason in *f. */
static enum esign_rc components_refuse_state(struct components_try *t, struct fault *f)
{
    struct fault refused = *f;
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = components_slot(t, "free");

    components_free(t, &change, slot);
    enum esign_rc rc = components_commit(t, "attempt.refused", refused.rc, refused.reason, &change,
                                         components_later(), NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

/* Signer and credential allow what the person is about to do. */
static enum esign_rc components_check_state(const struct components_try *t, struct fault *f)
{
    const char *state = json_str(t->signer, "state");

    if (!state || strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state ? state : "unknown", "the signer is %s",
                            state ? state : "unknown");
    return authn_credential_usable(t->store, t->credential, t->purpose, f);
}

/* Right after failures: the counter starts anew, unless somebody has moved it meanwhile. */
static enum esign_rc components_reset(struct components_try *t, struct fault *f)
{
    struct store_change change = {0};

    if (t->failures == 0)
        return ESIGN_OK;
    CLEANUP(json_decref_p) json_t *attempt = components_attempt(t, 0);
    change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    enum esign_rc rc =
        components_commit(t, "attempt.reset", ESIGN_OK, NULL, &change, components_later(), NULL, f);
    return rc == ESIGN_E_CONFLICT ? ESIGN_OK : rc;
}

static enum esign_rc components_decide(struct components_try *t, bool right,
                                       struct authn_person *ret, struct fault *f)
{
    if (!right || !t->signer || !t->credential)
        return components_refuse(t, f);
    enum esign_rc rc = components_check_state(t, f);
    if (rc != ESIGN_OK)
        return components_refuse_state(t, f);
    rc = components_reset(t, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->slot = json_pack("{s:s, s:s, s:s}", "signer_id", t->attempt_id, "state", "free", "slot",
                          t->slot_id);
    if (!ret->slot)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    ret->slot_seq = t->slot_seq;
    ret->signer_seq = t->signer_seq;
    ret->credential_seq = t->credential_seq;
    ret->signer = TAKE(t->signer);
    ret->signer_id = json_str(ret->signer, "signer_id");
    ret->user_id = json_str(ret->signer, "user_id");
    return ESIGN_OK;
}

static enum esign_rc components_prove(struct store *store, struct hash *hash,
                                      const struct authn_claim *claim, enum authn_purpose purpose,
                                      struct authn_person *ret, struct fault *f)
{
    CLEANUP(components_try_done)
    struct components_try t = {.store = store, .claim = claim, .purpose = purpose};
    struct authn_person person = {0};
    bool right = false;
    enum esign_rc rc = components_find(&t, f);

    if (rc == ESIGN_OK)
        rc = components_reserve(&t, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = hash_verify(hash, t.credential ? json_str(t.credential, "phc") : NULL, claim->password,
                     claim->deadline_at_ms, &right, f);
    if (rc != ESIGN_OK)
        return components_undecided(&t, f);
    if (rc == ESIGN_OK)
        rc = components_decide(&t, right, &person, f);
    if (rc == ESIGN_OK)
        *ret = person;
    return rc;
}

enum esign_rc authn_components(struct store *store, struct hash *hash,
                               const struct authn_claim *claim, struct authn_person *ret,
                               struct fault *f)
{
    return components_prove(store, hash, claim, AUTHN_ACT, ret, f);
}

enum esign_rc authn_components_to_change(struct store *store, struct hash *hash,
                                         const struct authn_claim *claim, struct authn_person *ret,
                                         struct fault *f)
{
    return components_prove(store, hash, claim, AUTHN_CHANGE, ret, f);
}

void authn_release_into(const struct authn_person *p, struct store_change *change)
{
    const char *slot_id = json_str(p->slot, "slot");

    change->rows[change->row_count++] = (struct store_row){"try", slot_id, p->slot};
    change->guards[change->guard_count++] = (struct store_guard){"try", slot_id, p->slot_seq};
}

void authn_settle_into(const struct authn_person *p, struct store_change *change)
{
    authn_release_into(p, change);
    change->guards[change->guard_count++] =
        (struct store_guard){"signer", p->signer_id, p->signer_seq};
    change->guards[change->guard_count++] =
        (struct store_guard){"credential", p->signer_id, p->credential_seq};
}

/* One slot that a stop left taken. */
static enum esign_rc components_recover(struct store *store, const char *slot_id,
                                        const json_t *slot, int64_t slot_seq,
                                        int64_t deadline_at_ms, struct fault *f)
{
    const struct authn_claim nobody = {.lock_after = INT64_MAX, .deadline_at_ms = deadline_at_ms};
    struct components_try t = {.store = store, .claim = &nobody, .slot_seq = slot_seq};
    struct store_change change = {0};

    (void)snprintf(t.attempt_id, sizeof(t.attempt_id), "%s", json_str(slot, "signer_id"));
    (void)snprintf(t.slot_id, sizeof(t.slot_id), "%s", slot_id);
    enum esign_rc rc = components_failures(store, t.attempt_id, &t.failures, &t.failures_seq, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *freed = components_slot(&t, "free");
    CLEANUP(json_decref_p) json_t *attempt = components_attempt(&t, t.failures + 1);
    change.rows[change.row_count++] = (struct store_row){"try", t.slot_id, freed};
    change.rows[change.row_count++] = (struct store_row){"attempt", t.attempt_id, attempt};
    change.guards[change.guard_count++] = (struct store_guard){"try", t.slot_id, slot_seq};
    return components_commit(&t, "attempt.interrupted", ESIGN_E_AUTH_FAILED, "restart", &change,
                             deadline_at_ms, NULL, f);
}

enum esign_rc authn_recover(struct store *store, int64_t deadline_at_ms, size_t *ret_count,
                            struct fault *f)
{
    size_t count = 0;

    for (;;) {
        CLEANUP(json_decref_p) json_t *taken = NULL;
        enum esign_rc rc =
            store_list(store, "try", "state", "taken", NULL, COMPONENTS_RECOVER_BATCH, &taken, f);
        for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(taken); i++) {
            const json_t *item = json_array_get(taken, i);
            rc = components_recover(store, json_str(item, "id"), json_object_get(item, "body"),
                                    json_int(item, "seq", -1), deadline_at_ms, f);
            count++;
        }
        if (rc != ESIGN_OK)
            return rc;
        if (json_array_size(taken) == 0)
            break;
    }
    *ret_count = count;
    return ESIGN_OK;
}

enum esign_rc authn_is_locked(struct store *store, const char *signer_id, int64_t lock_after,
                              bool *ret, struct fault *f)
{
    int64_t failures = 0, seq = -1;
    enum esign_rc rc = components_failures(store, signer_id, &failures, &seq, f);

    if (rc == ESIGN_OK)
        *ret = failures >= lock_after;
    return rc;
}
