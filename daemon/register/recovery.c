/* The way back when every officer is locked: root of this machine resets an officer's counter of
 * failures. It gives no power without the officer's own password, and it is entered. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

enum { RECOVERY_REASON_MAX = 500 };

/* Only an officer who is locked, while no other could unlock; signers are unlocked by officers. */
static enum esign_rc recovery_check(struct site *s, const json_t *signer, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    bool locked = false;
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    if (rc == ESIGN_OK && !authz_has_role(signer, "secofficer") &&
        !authz_has_role(signer, "regadmin"))
        return fault_set(f, ESIGN_E_AUTHZ, "this is for officers; an officer unlocks a signer");
    if (rc == ESIGN_OK)
        rc = authn_is_locked(site_store(s), json_str(signer, "signer_id"),
                             authn_limits_of(policy).lock_after, &locked, f);
    if (rc == ESIGN_OK && !locked)
        rc = fault_set(f, ESIGN_E_CONFLICT, "this officer is not locked");
    if (rc == ESIGN_OK)
        rc = register_check_nobody(s, json_str(signer, "signer_id"),
                                   authn_limits_of(policy).lock_after, f);
    return rc;
}

static enum esign_rc recovery_unlock(struct site *s, const struct register_origin *origin,
                                     int64_t uid, const char *user_id, const char *reason,
                                     struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    char object[SITE_ID_MAX + 16];
    int64_t seq = -1;

    if (!text_is_line(reason, RECOVERY_REASON_MAX))
        return fault_field(f, ESIGN_E_REASON_REQUIRED, "reason", "say why; it is entered");
    enum esign_rc rc = authn_find_signer(site_store(s), user_id, &signer, &seq, f);
    if (rc == ESIGN_OK)
        rc = recovery_check(s, signer, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(signer, "signer_id");
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    CLEANUP(json_decref_p)
    json_t *attempt = json_pack("{s:s, s:i}", "signer_id", signer_id, "failures", 0);
    site_put(&change, "attempt", signer_id, attempt);
    site_guard(&change, "signer", signer_id, seq);
    const struct audit_act act = {.action = "officer.unlock",
                                  .object = object,
                                  .reason = reason,
                                  .actor = {.role = "peer", .uid = uid},
                                  .terminal = origin->terminal};
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

enum esign_rc register_unlock_officer(struct site *s, const struct register_origin *origin,
                                      int64_t uid, const char *user_id, const char *reason,
                                      struct fault *f)
{
    char object[80];
    enum esign_rc rc = recovery_unlock(s, origin, uid, user_id, reason, f);

    if (rc == ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "userid/%s", user_id);
    return register_peer_refused(s, origin, uid, "officer.unlock", object, NULL, f);
}
