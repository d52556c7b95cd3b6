/* Actions of two persons: asked for by one, decided by another. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "register/register_internal.h"
#include "site/restored.h"

static const struct register_action *const approval_actions[] = {
    &register_enroll_action, &register_application_action, &register_terminal_action,
    &register_reset_action,  &register_restore_action,     &register_card_action,
};

static const struct register_action *approval_action(const char *action)
{
    for (size_t i = 0; i < sizeof(approval_actions) / sizeof(approval_actions[0]); i++)
        if (strcmp(approval_actions[i]->action, action) == 0)
            return approval_actions[i];
    return NULL;
}

/* The members that stay in the row; "bag" only keeps bodies alive while the change is made. */
static json_t *approval_row(const json_t *approval)
{
    json_t *row =
        json_copy((json_t *)(uintptr_t)approval); /* json_copy does not change its source */

    if (row)
        (void)json_object_del(row, "bag"); /* absent: nothing to do */
    return row;
}

/* The row as the trail shows it: everybody who reads may see that, so no hash of a code. */
static json_t *approval_shown(const json_t *row)
{
    json_t *shown = json_copy((json_t *)(uintptr_t)row); /* json_copy does not change its source */

    if (shown)
        (void)json_object_del(shown, "receipt_hash"); /* absent: nothing to do */
    return shown;
}

/* A reply with the members that the caller may see. */
static json_t *approval_reply(const json_t *approval)
{
    return json_pack("{s:s, s:s, s:s, s:s*}", "approval", json_str(approval, "approval"), "state",
                     json_str(approval, "state"), "action", json_str(approval, "action"), "object",
                     json_str(approval, "object"));
}

static enum esign_rc approval_new(const struct register_action *action,
                                  const struct authn_person *officer, const char *reason,
                                  char receipt[REGISTER_CODE_MAX], int64_t now_ms, json_t **ret,
                                  struct fault *f)
{
    char id[SITE_ID_MAX], hash[2 * SHA256_LEN + 1], at[CLOCK_TEXT];

    site_new_id('A', id);
    clock_format_utc(now_ms, at);
    register_code_new(receipt, hash);
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[]}", "approval", id, "state",
                     "pending", "action", action->action, "requested_by", officer->signer_id,
                     "requested_by_user", officer->user_id, "requested", at, "reason", reason,
                     "receipt_hash", hash, "bag");
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
}

enum esign_rc register_request(struct site *s, const struct register_origin *origin,
                               const struct authn_person *officer, const char *action,
                               const json_t *params, const char *reason, json_t **ret,
                               struct fault *f)
{
    const struct register_action *row = approval_action(action);
    CLEANUP(json_decref_p) json_t *approval = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(register_code_wipe) char code[REGISTER_CODE_MAX] = "";

    if (!row)
        return fault_field(f, ESIGN_E_PROTO, "action", "there is no such action");
    enum esign_rc rc = register_check_restored(s, action, f);
    if (rc == ESIGN_OK)
        rc = approval_new(row, officer, reason, code, clock_now_ms(site_clock(s)), &approval, f);
    if (rc == ESIGN_OK)
        rc = row->request(s, officer, params, &change, approval, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *body = approval_row(approval);
    CLEANUP(json_decref_p) json_t *shown = approval_shown(body);
    site_put(&change, "approval", json_str(approval, "approval"), body);
    authn_settle_into(officer, &change);
    struct audit_act act =
        register_act(origin, officer, "approval.request", json_str(approval, "object"), reason);
    act.new_value = shown;
    rc = register_used(site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f), f);
    if (rc != ESIGN_OK)
        return rc;
    site_checkpoint_now(s);
    json_t *reply = approval_reply(approval);
    if (row->receipt && reply && json_object_set_new(reply, "receipt", json_string(code)) != 0) {
        json_decref(reply);
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    }
    *ret = reply;
    return reply ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* Make the decision's change. */
static enum esign_rc approval_decide(struct site *s, const struct authn_person *officer,
                                     json_t *approval, bool approve, struct store_change *change,
                                     json_t *reply, struct fault *f)
{
    const struct register_action *row = approval_action(json_str(approval, "action"));

    if (!row)
        return fault_set(f, ESIGN_E_INTERNAL, "the approval's action is unknown");
    if (approve)
        return row->approve(s, officer, approval, change, reply, f);
    return row->decline ? row->decline(s, approval, change, f) : ESIGN_OK;
}

/* May this officer decide, and is there still something to decide? */
static enum esign_rc approval_check(const json_t *approval, const struct authn_person *officer,
                                    struct fault *f)
{
    const struct authz_dual *dual = authz_dual_find(json_str(approval, "action"));
    const char *state = json_str(approval, "state");

    if (strcmp(state, "pending") != 0)
        return fault_reason(f, ESIGN_E_CONFLICT, state, "this request is %s already", state);
    return authz_dual_decide(dual, officer->signer, json_str(approval, "requested_by"),
                             json_str(approval, "signer_id"), f);
}

/* A request stands only as long as the person who asked may still ask; guarded. */
static enum esign_rc approval_check_requester(struct site *s, const json_t *approval,
                                              struct store_change *change, struct fault *f)
{
    const struct authz_dual *dual = authz_dual_find(json_str(approval, "action"));
    const char *requester = json_str(approval, "requested_by");
    CLEANUP(json_decref_p) json_t *signer = NULL;
    int64_t seq = -1;
    enum esign_rc rc = store_get(site_store(s), "signer", requester, &signer, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (strcmp(json_str(signer, "state"), "active") != 0 ||
        !authz_has_role(signer, dual->request_role))
        return fault_reason(f, ESIGN_E_CONFLICT, "requester",
                            "the person who asked may not ask for this any more; decline it");
    site_guard(change, "signer", requester, seq);
    return ESIGN_OK;
}

static enum esign_rc approval_settle(json_t *approval, const struct authn_person *officer,
                                     bool approve, const char *reason, int64_t now_ms,
                                     struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(now_ms, at);
    if (json_object_set_new(approval, "state", json_string(approve ? "approved" : "declined")) ||
        json_object_set_new(approval, "decided_by", json_string(officer->signer_id)) ||
        json_object_set_new(approval, "decided_by_user", json_string(officer->user_id)) ||
        json_object_set_new(approval, "decided", json_string(at)) ||
        (reason && json_object_set_new(approval, "decision_reason", json_string(reason))))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    return ESIGN_OK;
}

/* What was not handed to the caller is wiped. */
static void approval_secrets_done(json_t **secrets)
{
    json_wipe(*secrets);
    json_decref(*secrets);
}

/* The reply takes the secrets over. */
static enum esign_rc approval_answer(const json_t *approval, json_t *secrets, json_t **ret,
                                     struct fault *f)
{
    CLEANUP(json_decref_p) json_t *reply = approval_reply(approval);

    if (!reply || json_object_update(reply, secrets) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    (void)json_object_clear(secrets); /* it is an object */
    *ret = TAKE(reply);
    return ESIGN_OK;
}

static const char *approval_entry(const char *action, bool approve)
{
    if (!approve)
        return "approval.decline";
    return register_is_restore(action) ? "restore.accepted" : "approval.approve";
}

enum esign_rc register_decide(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *approval_id,
                              bool approve, const char *reason, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *approval = NULL;
    CLEANUP(approval_secrets_done) json_t *secrets = json_object();
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t seq = -1;
    enum esign_rc rc = store_get(site_store(s), "approval", approval_id, &approval, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = approval_check(approval, officer, f);
    const char *action = json_str(approval, "action");
    if (rc == ESIGN_OK)
        rc = register_check_restored(s, action, f);
    if (rc == ESIGN_OK && approve)
        rc = approval_check_requester(s, approval, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(approval, "bag", json_array()) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    rc = approval_decide(s, officer, approval, approve, &change, secrets, f);
    if (rc == ESIGN_OK)
        rc = approval_settle(approval, officer, approve, reason, clock_now_ms(site_clock(s)), f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *body = approval_row(approval);
    CLEANUP(json_decref_p) json_t *shown = approval_shown(body);
    site_put(&change, "approval", approval_id, body);
    site_guard(&change, "approval", approval_id, seq);
    authn_settle_into(officer, &change);
    struct audit_act act = register_act(origin, officer, approval_entry(action, approve),
                                        json_str(approval, "object"), reason);
    act.new_value = shown;
    rc = register_used(site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f), f);
    if (rc != ESIGN_OK)
        return rc;
    if (approve && register_is_restore(action))
        site_accept_restored(s);
    site_checkpoint_now(s);
    return approval_answer(approval, secrets, ret, f);
}
