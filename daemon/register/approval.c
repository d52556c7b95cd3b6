/* Actions of two persons: asked for by one, decided by another. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "register/register_internal.h"

static const struct register_action *const approval_actions[] = {
    &register_enroll_action,
    &register_application_action,
    &register_terminal_action,
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
    char code[REGISTER_CODE_MAX];

    if (!row)
        return fault_field(f, ESIGN_E_PROTO, "action", "there is no such action");
    enum esign_rc rc =
        approval_new(row, officer, reason, code, clock_now_ms(site_clock(s)), &approval, f);
    if (rc == ESIGN_OK)
        rc = row->request(s, officer, params, &change, approval, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *body = approval_row(approval);
    site_put(&change, "approval", json_str(approval, "approval"), body);
    authn_settle_into(officer, &change);
    struct audit_act act =
        register_act(origin, officer, "approval.request", json_str(approval, "object"), reason);
    act.new_value = body;
    rc = register_used(site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f), f);
    if (rc != ESIGN_OK)
        return rc;
    site_checkpoint_now(s);
    json_t *reply = approval_reply(approval);
    if (row == &register_enroll_action && reply &&
        json_object_set_new(reply, "receipt", json_string(code)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    explicit_bzero(code, sizeof(code));
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

enum esign_rc register_decide(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *approval_id,
                              bool approve, const char *reason, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *approval = NULL;
    CLEANUP(json_decref_p) json_t *secrets = json_object();
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t seq = -1;
    enum esign_rc rc = store_get(site_store(s), "approval", approval_id, &approval, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = approval_check(approval, officer, f);
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
    site_put(&change, "approval", approval_id, body);
    site_guard(&change, "approval", approval_id, seq);
    authn_settle_into(officer, &change);
    struct audit_act act =
        register_act(origin, officer, approve ? "approval.approve" : "approval.decline",
                     json_str(approval, "object"), reason);
    act.new_value = body;
    rc = register_used(site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f), f);
    if (rc != ESIGN_OK)
        return rc;
    site_checkpoint_now(s);
    json_t *reply = approval_reply(approval);
    if (!reply || json_object_update(reply, secrets) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    *ret = reply;
    return ESIGN_OK;
}
