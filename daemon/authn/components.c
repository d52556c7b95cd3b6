#include "authn/components.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "authn/authn_internal.h"
#include "base/cleanup.h"

/* What a refused try takes beside the hash.  Rows of a person who exists are read, checked and
 * written where an unknown code has none, and how long that takes depends on caches and disk; so no
 * refusal is answered earlier. */
enum { COMPONENTS_REFUSAL_MS = 50 };

void authn_try_done(struct authn_try *t)
{
    json_decref(t->signer);
    json_decref(t->credential);
}

/* Signer and credential of the claimed code; an unknown code leaves both NULL. */
static enum esign_rc components_find(struct authn_try *t, struct fault *f)
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

/* The hash could not be computed: the try does not count. */
static enum esign_rc components_undecided(struct authn_try *t, struct fault *f)
{
    struct fault below = *f, ignored;
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "free");
    const struct authn_told told = {"attempt.undecided", below.rc, below.reason, AUDIT_ALERT_NONE};

    authn_slot_free_into(t, slot, &change);
    /* if even this can't be written, the slot counts as a failure at the next start */
    enum esign_rc entered = authn_enter(t, &told, &change, authn_enter_until(t), NULL, &ignored);
    (void)entered;
    *f = below;
    return below.rc;
}

/* Somebody may have what was taken from its owner: that is more than a refusal. */
static enum audit_alert components_alert(const char *reason)
{
    static const char *const unusable[] = {"revoked", "suspended", "expired"};

    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++)
        if (strcmp(reason, unusable[i]) == 0)
            return AUDIT_ALERT_UNUSABLE_CREDENTIAL;
    return AUDIT_ALERT_NONE;
}

/* Right components of a person who may not act, for the reason in *f. */
static enum esign_rc components_refuse_state(struct authn_try *t, struct fault *f)
{
    struct fault refused = *f;
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "free");
    const struct authn_told told = {"attempt.refused", refused.rc, refused.reason,
                                    components_alert(refused.reason)};

    authn_slot_free_into(t, slot, &change);
    enum esign_rc rc = authn_enter(t, &told, &change, authn_enter_until(t), NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

/* Hold a refusal back until began_ms + hash_ms + COMPONENTS_REFUSAL_MS.  Nothing is kept meanwhile
 * but the connection. */
static void components_hold_back(const struct authn_try *t, int64_t began_ms, int64_t hash_ms)
{
    int64_t left_ms =
        began_ms + hash_ms + COMPONENTS_REFUSAL_MS - clock_mono_ms(store_clock(t->store));
    const struct timespec left = {
        0, (left_ms < COMPONENTS_REFUSAL_MS ? left_ms : COMPONENTS_REFUSAL_MS) * 1000000L};

    if (left_ms > 0)
        (void)nanosleep(&left, NULL); /* woken early: one answer comes early */
}

static enum esign_rc components_decide(struct authn_try *t, bool right, struct authn_person *ret,
                                       struct fault *f)
{
    if (!right || !t->signer || !t->credential)
        return authn_count(t, f);
    enum esign_rc rc = authn_check_state(t, f);
    if (rc != ESIGN_OK)
        return components_refuse_state(t, f);
    rc = authn_reset(t, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->slot = json_pack("{s:s, s:s, s:s}", "signer_id", t->attempt_id, "state", "free", "slot",
                          t->slot_id);
    if (!ret->slot)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    ret->slot_seq = t->slot_seq;
    authn_person_take(t, ret);
    return ESIGN_OK;
}

static enum esign_rc components_prove(struct store *store, struct hash *hash,
                                      const struct authn_claim *claim, enum authn_purpose purpose,
                                      struct authn_person *ret, struct fault *f)
{
    CLEANUP(authn_try_done)
    struct authn_try t = {.store = store, .claim = claim, .purpose = purpose};
    struct authn_person person = {0};
    bool right = false;
    const struct clock *clock = store_clock(store);
    int64_t began_ms = clock_mono_ms(clock);
    enum esign_rc rc = components_find(&t, f);

    if (rc == ESIGN_OK)
        rc = authn_slot_take(&t, f);
    if (rc != ESIGN_OK)
        return rc;
    int64_t hash_ms = -clock_mono_ms(clock);
    rc = hash_verify(hash, t.credential ? json_str(t.credential, "phc") : NULL, claim->password,
                     claim->deadline_at_ms, &right, &person.sealing, f);
    if (rc != ESIGN_OK)
        return components_undecided(&t, f);
    hash_ms += clock_mono_ms(clock);
    rc = components_decide(&t, right, &person, f);
    if (rc == ESIGN_E_AUTH_FAILED)
        components_hold_back(&t, began_ms, hash_ms);
    if (rc == ESIGN_OK)
        *ret = person;
    else
        secret_free(person.sealing);
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
