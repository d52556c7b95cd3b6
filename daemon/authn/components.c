#include "authn/components.h"

#include <stdio.h>
#include <string.h>
#include <unistr.h>

#include "audit/record.h"
#include "base/cleanup.h"

enum { COMPONENTS_RESERVE_TRIES = 32 }; /* parallel tries of one signer that move the counter */

/* One try while it is being decided. */
struct components_try {
    struct store *store;
    const struct authn_claim *claim;
    json_t *signer, *credential; /* NULL: the code is unknown or has no password yet */
    int64_t signer_seq, credential_seq, failures;
    char attempt_id[65];
};

static void components_try_done(struct components_try *t)
{
    json_decref(t->signer);
    json_decref(t->credential);
}

void authn_person_done(struct authn_person *p)
{
    json_decref(p->signer);
    json_decref(p->attempt);
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

static enum esign_rc components_write(const struct components_try *t, json_t *entry,
                                      json_t *attempt, int64_t guard_seq, struct fault *f)
{
    struct store_receipt receipt;
    struct store_change change = {.entry = entry};

    if (!entry || !attempt)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    change.rows[change.row_count++] = (struct store_row){"attempt", t->attempt_id, attempt};
    if (guard_seq != INT64_MIN)
        change.guards[change.guard_count++] =
            (struct store_guard){"attempt", t->attempt_id, guard_seq};
    return store_commit(t->store, &change, t->claim->deadline_at_ms, &receipt, f);
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

/* Count the try before it is evaluated.  A known signer's counter is guarded, so that of many
 * parallel tries exactly lock_after are evaluated. */
static enum esign_rc components_reserve(struct components_try *t, struct fault *f)
{
    for (int i = 0; i < COMPONENTS_RESERVE_TRIES; i++) {
        int64_t seq = -1;
        enum esign_rc rc = components_failures(t->store, t->attempt_id, &t->failures, &seq, f);
        if (rc != ESIGN_OK)
            return rc;
        if (t->signer && t->failures >= t->claim->lock_after)
            return fault_reason(f, ESIGN_E_SIGNER_STATE, "locked",
                                "too many failures; ask an officer to unlock this signer");
        CLEANUP(json_decref_p)
        json_t *entry = components_entry(t, "attempt.reserve", ESIGN_OK, NULL);
        CLEANUP(json_decref_p) json_t *attempt = components_attempt(t, t->failures + 1);
        rc = components_write(t, entry, attempt, t->signer ? seq : INT64_MIN, f);
        if (rc != ESIGN_E_CONFLICT) {
            t->failures++;
            return rc;
        }
    }
    return fault_set(f, ESIGN_E_RATE, "too many tries at once for this signer; wait and try again");
}

/* The counter was written with the reservation; here only the failure is entered. */
static enum esign_rc components_refuse(const struct components_try *t, struct fault *f)
{
    bool locked = t->signer && t->failures >= t->claim->lock_after;
    CLEANUP(json_decref_p)
    json_t *entry =
        components_entry(t, locked ? "signer.lock" : "attempt.failed", ESIGN_E_AUTH_FAILED, NULL);
    struct store_change change = {.entry = entry};
    struct store_receipt receipt;

    if (!entry)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    enum esign_rc rc = store_commit(t->store, &change, t->claim->deadline_at_ms, &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    return fault_set(f, ESIGN_E_AUTH_FAILED, "the identification code or the password is wrong");
}

/* Right components of a person who may not act. */
static enum esign_rc components_refuse_state(const struct components_try *t, const char *state,
                                             struct fault *f)
{
    CLEANUP(json_decref_p)
    json_t *entry = components_entry(t, "attempt.refused", ESIGN_E_SIGNER_STATE, state);
    CLEANUP(json_decref_p) json_t *attempt = components_attempt(t, 0);
    enum esign_rc rc = components_write(t, entry, attempt, INT64_MIN, f);

    if (rc != ESIGN_OK)
        return rc;
    return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s", state);
}

static enum esign_rc components_decide(struct components_try *t, bool right,
                                       struct authn_person *ret, struct fault *f)
{
    if (!right || !t->signer || !t->credential)
        return components_refuse(t, f);
    const char *state = json_str(t->signer, "state");
    if (!state || strcmp(state, "active") != 0)
        return components_refuse_state(t, state ? state : "unknown", f);
    ret->attempt = components_attempt(t, 0);
    if (!ret->attempt)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    ret->signer_seq = t->signer_seq;
    ret->credential_seq = t->credential_seq;
    ret->signer = TAKE(t->signer);
    ret->signer_id = json_str(ret->signer, "signer_id");
    ret->user_id = json_str(ret->signer, "user_id");
    return ESIGN_OK;
}

enum esign_rc authn_components(struct store *store, struct hash *hash,
                               const struct authn_claim *claim, struct authn_person *ret,
                               struct fault *f)
{
    CLEANUP(components_try_done) struct components_try t = {.store = store, .claim = claim};
    struct authn_person person = {0};
    bool right = false;
    enum esign_rc rc = components_find(&t, f);

    if (rc == ESIGN_OK)
        rc = components_reserve(&t, f);
    if (rc == ESIGN_OK)
        rc = hash_verify(hash, t.credential ? json_str(t.credential, "phc") : NULL, claim->password,
                         claim->deadline_at_ms, &right, f);
    if (rc == ESIGN_OK)
        rc = components_decide(&t, right, &person, f);
    if (rc == ESIGN_OK)
        *ret = person;
    return rc;
}

void authn_settle_into(const struct authn_person *p, struct store_change *change)
{
    change->rows[change->row_count++] = (struct store_row){"attempt", p->signer_id, p->attempt};
    change->guards[change->guard_count++] =
        (struct store_guard){"signer", p->signer_id, p->signer_seq};
    change->guards[change->guard_count++] =
        (struct store_guard){"credential", p->signer_id, p->credential_seq};
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

enum esign_rc authn_password_check(const struct secret *password, const char *user_id,
                                   int64_t min_chars, struct fault *f)
{
    struct bytes text = secret_bytes(password);
    size_t id_len = strlen(user_id);

    if (text.len == 0 || u8_check(text.data, text.len) || memchr(text.data, 0, text.len))
        return fault_field(f, ESIGN_E_PASSWORD_POLICY, "password",
                           "the password must be UTF-8 text");
    if ((int64_t)u8_mbsnlen(text.data, text.len) < min_chars)
        return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "short",
                            "the password needs at least %lld characters", (long long)min_chars);
    if (text.len >= id_len && u8_strlen((const uint8_t *)user_id) > 0 &&
        text.len < 2 * id_len + 1 && memmem(text.data, text.len, user_id, id_len))
        return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "same_as_id",
                            "the password must not be made of the identification code");
    return ESIGN_OK;
}
