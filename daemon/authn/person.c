/* The rows of a person, and what becomes of them in the commit that acts on right components. */
#include <stdio.h>
#include <string.h>

#include "authn/authn_internal.h"
#include "base/cleanup.h"

void authn_person_done(struct authn_person *p)
{
    json_decref(p->signer);
    json_decref(p->slot);
    json_decref(p->attempt);
    secret_free(p->sealing);
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

enum esign_rc authn_check_state(const struct authn_try *t, struct fault *f)
{
    const char *state = json_str(t->signer, "state");

    if (!state || strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state ? state : "unknown", "the signer is %s",
                            state ? state : "unknown");
    return authn_credential_usable(t->store, t->credential, t->purpose, f);
}

/* What stands in the rows now allows a try of the person.  Refusals are entered, but for errors of
 * reading. */
static enum esign_rc person_check(struct authn_try *t, struct fault *f)
{
    struct store_change change = {0};
    enum esign_rc rc = authn_check_room(t, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = authn_check_state(t, f);
    if (rc != ESIGN_E_SIGNER_STATE && rc != ESIGN_E_CRED_STATE)
        return rc;
    struct fault refused = *f;
    const struct authn_told told = {"attempt.refused", refused.rc, refused.reason,
                                    AUDIT_ALERT_NONE};
    rc = authn_enter(t, &told, &change, authn_enter_until(t), NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

enum esign_rc authn_person_of(struct store *store, const struct authn_claim *claim,
                              const char *signer_id, struct authn_person *ret, struct fault *f)
{
    CLEANUP(authn_try_done)
    struct authn_try t = {.store = store, .claim = claim, .purpose = AUTHN_ACT};
    struct authn_person person = {0};

    (void)snprintf(t.attempt_id, sizeof(t.attempt_id), "%s", signer_id); /* ids are bounded */
    enum esign_rc rc = store_get(store, "signer", signer_id, &t.signer, &t.signer_seq, f);
    if (rc == ESIGN_OK)
        rc = store_get(store, "credential", signer_id, &t.credential, &t.credential_seq, f);
    if (rc == ESIGN_OK)
        rc = person_check(&t, f);
    if (rc != ESIGN_OK)
        return rc;
    if (t.failures > 0) {
        person.attempt = authn_attempt_row(&t, 0);
        if (!person.attempt)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    }
    person.attempt_seq = t.failures_seq;
    authn_person_take(&t, &person);
    *ret = person;
    return ESIGN_OK;
}

void authn_person_take(struct authn_try *t, struct authn_person *ret)
{
    ret->signer_seq = t->signer_seq;
    ret->credential_seq = t->credential_seq;
    ret->signer = TAKE(t->signer);
    ret->signer_id = json_str(ret->signer, "signer_id");
    ret->user_id = json_str(ret->signer, "user_id");
}

void authn_release_into(const struct authn_person *p, struct store_change *change)
{
    if (!p->slot)
        return;
    const char *slot_id = json_str(p->slot, "slot");
    change->rows[change->row_count++] = (struct store_row){"try", slot_id, p->slot};
    change->guards[change->guard_count++] = (struct store_guard){"try", slot_id, p->slot_seq};
}

void authn_settle_into(const struct authn_person *p, struct store_change *change)
{
    authn_release_into(p, change);
    if (p->attempt)
        change->rows[change->row_count++] = (struct store_row){"attempt", p->signer_id, p->attempt};
    if (!p->slot) /* a slot was counted with the failures; without one they must not have moved */
        change->guards[change->guard_count++] =
            (struct store_guard){"attempt", p->signer_id, p->attempt_seq};
    change->guards[change->guard_count++] =
        (struct store_guard){"signer", p->signer_id, p->signer_seq};
    change->guards[change->guard_count++] =
        (struct store_guard){"credential", p->signer_id, p->credential_seq};
}
