/* Taking power away and giving it back: revoke, unlock; what may be shown of a signer. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "register/register_internal.h"

static enum esign_rc state_check_reason(const char *reason, struct fault *f)
{
    return reason ? ESIGN_OK
                  : fault_field(f, ESIGN_E_REASON_REQUIRED, "reason", "say why; it is entered");
}

/* The signer's row moved to revoked, and the row that marks the place in the trail. */
static enum esign_rc state_revoked(json_t *signer, const struct authn_person *officer,
                                   const char *reason, int64_t now_ms, json_t **ret_revocation,
                                   struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(now_ms, at);
    if (json_object_set_new(signer, "state", json_string("revoked")) ||
        json_object_set_new(signer, "revoked", json_string(at)) ||
        json_object_set_new(signer, "revoked_ms", json_integer(now_ms)) ||
        json_object_set_new(signer, "revoked_by", json_string(officer->signer_id)) ||
        json_object_set_new(signer, "revoked_reason", json_string(reason)))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    *ret_revocation = json_pack("{s:s, s:s, s:s, s:I, s:s}", "signer_id",
                                json_str(signer, "signer_id"), "reason", reason, "revoked", at,
                                "revoked_ms", (json_int_t)now_ms, "revoked_by", officer->signer_id);
    if (!*ret_revocation)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    return ESIGN_OK;
}

enum esign_rc register_revoke(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *user_id,
                              const char *reason, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    CLEANUP(json_decref_p) json_t *revocation = NULL;
    CLEANUP(json_decref_p) json_t *bag = json_array();
    struct register_last last;
    struct store_change change = {0};
    struct store_receipt receipt;
    char object[80];
    int64_t seq = -1;
    enum esign_rc rc = state_check_reason(reason, f);

    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), user_id, &signer, &seq, f);
    if (rc != ESIGN_OK)
        return rc;
    if (strcmp(json_str(signer, "state"), "revoked") == 0)
        return fault_reason(f, ESIGN_E_CONFLICT, "revoked", "this signer is revoked already");
    rc = register_keep_officers(s, signer, &last, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(signer, "signer_id");
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    CLEANUP(json_decref_p)
    json_t *old_value = json_pack("{s:s}", "state", json_str(signer, "state"));
    rc = state_revoked(signer, officer, reason, clock_now_ms(site_clock(s)), &revocation, f);
    if (rc == ESIGN_OK && register_is_sealed(signer))
        rc = register_end_sealed(s, signer, bag, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *new_value = json_pack("{s:s}", "state", "revoked");
    site_put(&change, "signer", signer_id, signer);
    site_put(&change, "revocation", signer_id, revocation);
    authn_settle_into(officer, &change);
    site_guard(&change, "signer", signer_id, seq);
    site_guard(&change, "revocation", signer_id, -1);
    struct audit_act act = register_act(origin, officer, "signer.revoke", object, reason);
    act.old_value = old_value;
    act.new_value = new_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

/* Only an active signer who is locked, so that the trail tells of no unlocking that was none. */
static enum esign_rc state_check_locked(struct site *s, const json_t *signer, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    bool locked = false;

    if (strcmp(json_str(signer, "state"), "revoked") == 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, "revoked", "this signer is revoked");
    enum esign_rc rc = site_policy(s, &policy, NULL, f);
    if (rc == ESIGN_OK)
        rc = authn_is_locked(site_store(s), json_str(signer, "signer_id"),
                             authn_limits_of(policy).lock_after, &locked, f);
    if (rc == ESIGN_OK && !locked)
        rc = fault_set(f, ESIGN_E_CONFLICT, "this signer is not locked");
    return rc;
}

enum esign_rc register_unlock(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *user_id,
                              const char *reason, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    char object[80];
    int64_t seq = -1;
    enum esign_rc rc = state_check_reason(reason, f);

    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), user_id, &signer, &seq, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(signer, "signer_id");
    if (strcmp(signer_id, officer->signer_id) == 0)
        return fault_set(f, ESIGN_E_DUAL_SELF, "another officer must unlock an officer");
    rc = state_check_locked(s, signer, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    CLEANUP(json_decref_p)
    json_t *attempt = json_pack("{s:s, s:i}", "signer_id", signer_id, "failures", 0);
    site_put(&change, "attempt", signer_id, attempt);
    authn_settle_into(officer, &change);
    site_guard(&change, "signer", signer_id, seq);
    const struct audit_act act = register_act(origin, officer, "signer.unlock", object, reason);
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

/* The state that people see: an active signer may be locked by failures. */
static const char *state_shown(struct site *s, const json_t *signer)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    bool locked = false;
    const char *state = json_str(signer, "state");

    if (strcmp(state, "active") != 0 || site_policy(s, &policy, NULL, NULL) != ESIGN_OK)
        return state;
    if (authn_is_locked(site_store(s), json_str(signer, "signer_id"),
                        authn_limits_of(policy).lock_after, &locked, NULL) != ESIGN_OK)
        return state;
    return locked ? "locked" : state;
}

json_t *register_signer_view(struct site *s, const json_t *signer)
{
    json_t *view = json_deep_copy(signer);

    if (!view)
        return NULL;
    json_t *evidence = json_object_get(view, "evidence");
    (void)json_object_del(evidence, "number_hash"); /* absent: nothing to do */
    if (json_object_set_new(view, "state", json_string(state_shown(s, signer))) != 0 ||
        register_view_credential(s, json_str(signer, "signer_id"), view, NULL) != ESIGN_OK) {
        json_decref(view);
        return NULL;
    }
    return view;
}
