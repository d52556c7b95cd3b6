/* Passwords in use: changed by the owner, demanded by an officer, shown to people. */
#include "authn/credential.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "register/register_internal.h"

DEFINE_CLEANUP(struct secret *, secret_free)

enum { CREDENTIAL_HISTORY = 12 }; /* without a number in the policy */

/* Sites of the first days have none: a list that nobody has approved is not put in its place. */
static enum esign_rc credential_blocklist(struct site *s, json_t **ret, struct fault *f)
{
    enum esign_rc rc = store_get(site_store(s), "blocklist", "blocklist", ret, NULL, f);

    if (rc != ESIGN_E_NOT_FOUND)
        return rc;
    log_warn("this site was initialised without a block list; a new password is not compared with "
             "common words");
    return ESIGN_OK;
}

enum esign_rc register_check_password(struct site *s, const struct secret *password,
                                      const char *user_id, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    CLEANUP(json_decref_p) json_t *blocklist = NULL;
    CLEANUP(json_decref_p) json_t *site_row = NULL;
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    if (rc == ESIGN_OK)
        rc = store_get(site_store(s), "site", "site", &site_row, NULL, f);
    if (rc == ESIGN_OK)
        rc = credential_blocklist(s, &blocklist, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct authn_password_rules rules = {.user_id = user_id,
                                               .organisation = json_str(site_row, "organisation"),
                                               .min_chars =
                                                   json_int(policy, "password.min_chars", 15),
                                               .blocklist = json_object_get(blocklist, "words")};
    return authn_password_check(password, &rules, f);
}

enum esign_rc register_owner(struct site *s, const struct register_origin *origin,
                             const char *user_id, const struct secret *password,
                             struct authn_person *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    const struct authn_claim claim = register_claim(s, origin, user_id, password, policy);
    return authn_components_to_change(site_store(s), site_hash(s), &claim, ret, f);
}

/* Whether the password is the present one or one of the history. */
static enum esign_rc credential_check_reuse(struct site *s, const json_t *credential,
                                            int64_t history, const struct secret *password,
                                            int64_t deadline_at_ms, struct fault *f)
{
    const json_t *earlier = json_object_get(credential, "history");
    const char *phc = json_str(credential, "phc");

    for (size_t i = 0; phc && (int64_t)i < history; i++) {
        bool same = false;
        enum esign_rc rc = hash_verify(site_hash(s), phc, password, deadline_at_ms, &same, NULL, f);
        if (rc != ESIGN_OK)
            return rc;
        if (same)
            return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "reused",
                                "the new password must not be one of the last %lld",
                                (long long)history);
        phc = json_string_value(json_array_get(earlier, i));
    }
    return ESIGN_OK;
}

/* The row with a new password: the present one becomes history, what demanded the change goes. */
static enum esign_rc credential_renew(json_t *credential, const char *phc, int64_t history,
                                      int64_t now_ms, struct fault *f)
{
    char at[CLOCK_TEXT];
    CLEANUP(json_decref_p) json_t *earlier = json_array();
    const json_t *old = json_object_get(credential, "history");
    int failed = json_array_append(earlier, json_object_get(credential, "phc"));

    for (size_t i = 0; i < json_array_size(old) && (int64_t)i + 2 < history; i++)
        failed |= json_array_append(earlier, json_array_get(old, i));
    clock_format_utc(now_ms, at);
    (void)json_object_del(credential, "must_change"); /* absent: nothing to do */
    failed |= json_object_set(credential, "history", earlier);
    failed |= json_object_set_new(credential, "phc", json_string(phc));
    failed |= json_object_set_new(credential, "changed", json_string(at));
    failed |= json_object_set_new(credential, "state", json_string("active"));
    return failed ? fault_set(f, ESIGN_E_INTERNAL, "no memory for a credential") : ESIGN_OK;
}

enum esign_rc register_renew_password(struct site *s, json_t *credential, const json_t *signer,
                                      const struct secret *password, int64_t deadline_at_ms,
                                      struct secret **ret_sealing, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    char phc[HASH_PHC_MAX];
    const char *custody = register_is_sealed(signer) ? "K2" : "K1";
    enum esign_rc rc = register_check_password(s, password, json_str(signer, "user_id"), f);

    if (rc == ESIGN_OK)
        rc = site_policy(s, &policy, NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    int64_t history = json_int(policy, "password.history", CREDENTIAL_HISTORY);
    rc = credential_check_reuse(s, credential, history, password, deadline_at_ms, f);
    if (rc == ESIGN_OK)
        rc = register_hash_password(s, custody, password, deadline_at_ms, phc, ret_sealing, f);
    if (rc == ESIGN_OK)
        rc = credential_renew(credential, phc, history, clock_now_ms(site_clock(s)), f);
    return rc;
}

enum esign_rc register_change_password(struct site *s, const struct register_origin *origin,
                                       const struct authn_person *owner,
                                       const struct secret *password, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *credential = NULL;
    CLEANUP(json_decref_p) json_t *bag = json_array();
    CLEANUP(secret_free_p) struct secret *sealing = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    char object[80];
    enum esign_rc rc =
        store_get(site_store(s), "credential", owner->signer_id, &credential, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *old_value = json_pack("{s:s, s:s}", "state", json_str(credential, "state"), "changed",
                                  json_str(credential, "changed"));
    rc = register_renew_password(s, credential, owner->signer, password, origin->deadline_at_ms,
                                 &sealing, f);
    if (rc == ESIGN_OK && register_is_sealed(owner->signer))
        rc = register_seal_again(s, owner, sealing, credential, bag, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack("{s:s, s:s}", "state", json_str(credential, "state"), "changed",
                                  json_str(credential, "changed"));
    /* the guards are those of the components that were proved: of two changes one wins */
    authn_settle_into(owner, &change);
    site_put(&change, "credential", owner->signer_id, credential);
    (void)snprintf(object, sizeof(object), "signer/%s", owner->signer_id);
    struct audit_act act = register_act(origin, owner, "credential.change", object, NULL);
    act.actor.role = "signer";
    act.old_value = old_value;
    act.new_value = new_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

enum esign_rc register_find_credential(struct site *s, const char *user_id,
                                       struct register_credential *ret, struct fault *f)
{
    enum esign_rc rc = authn_find_signer(site_store(s), user_id, &ret->signer, &ret->signer_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    ret->signer_id = json_str(ret->signer, "signer_id");
    const char *state = json_str(ret->signer, "state");
    if (strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, strcmp(state, "proofed") ? state : "draft",
                            "the signer is %s and has no password", state);
    return store_get(site_store(s), "credential", ret->signer_id, &ret->row, &ret->seq, f);
}

void register_credential_done(struct register_credential *c)
{
    json_decref(c->signer);
    json_decref(c->row);
    *c = (struct register_credential){0};
}

/* The row that demands a change. */
static enum esign_rc credential_demand(struct site *s, json_t *credential,
                                       const struct authn_person *officer, const char *reason,
                                       struct fault *f)
{
    char at[CLOCK_TEXT];

    if (strcmp(json_str(credential, "state"), "revoked") == 0)
        return fault_reason(f, ESIGN_E_CRED_STATE, "revoked",
                            "this password was revoked; a new one is set already");
    clock_format_utc(clock_now_ms(site_clock(s)), at);
    json_t *demand =
        json_pack("{s:s, s:s, s:s}", "at", at, "by", officer->user_id, "reason", reason);
    if (json_object_set_new(credential, "must_change", demand) != 0 ||
        json_object_set_new(credential, "state", json_string("must_change")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a credential");
    return ESIGN_OK;
}

enum esign_rc register_must_change(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *officer, const char *user_id,
                                   const char *reason, struct fault *f)
{
    CLEANUP(register_credential_done) struct register_credential c = {0};
    struct store_change change = {0};
    struct store_receipt receipt;
    char object[80];

    if (!reason)
        return fault_field(f, ESIGN_E_REASON_REQUIRED, "reason", "say why; it is entered");
    enum esign_rc rc = register_find_credential(s, user_id, &c, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *old_value = json_pack("{s:s}", "state", json_str(c.row, "state"));
    rc = credential_demand(s, c.row, officer, reason, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *new_value = json_pack("{s:s}", "state", "must_change");
    site_put(&change, "credential", c.signer_id, c.row);
    authn_settle_into(officer, &change);
    site_guard(&change, "credential", c.signer_id, c.seq);
    (void)snprintf(object, sizeof(object), "signer/%s", c.signer_id);
    struct audit_act act = register_act(origin, officer, "credential.must_change", object, reason);
    act.old_value = old_value;
    act.new_value = new_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

/* Members that people may see. */
static json_t *credential_view(const json_t *credential, const struct authn_credential *c)
{
    char expires[CLOCK_TEXT];

    clock_format_utc(c->expires_ms, expires);
    json_t *view = json_pack(
        "{s:s, s:s*, s:s, s:I, s:O*, s:s*, s:O*}", "state", c->state, "changed",
        json_str(credential, "changed"), "expires", expires, "days_left", (json_int_t)c->days_left,
        "must_change", json_object_get(credential, "must_change"), "reset_at",
        json_str(credential, "reset_at"), "reset_by", json_object_get(credential, "reset_by"));
    char text[64];
    (void)snprintf(text, sizeof(text), "the password expires in %lld days",
                   (long long)c->days_left);
    if (view && c->warn && json_object_set_new(view, "warning", json_string(text)) != 0) {
        json_decref(view);
        return NULL;
    }
    return view;
}

enum esign_rc register_view_credential(struct site *s, const char *signer_id, json_t *view,
                                       struct fault *f)
{
    CLEANUP(json_decref_p) json_t *credential = NULL;
    CLEANUP(json_decref_p) json_t *policy = NULL;

    /* a view without it is better than none: a row that was edited is told by audit verify */
    if (store_get(site_store(s), "credential", signer_id, &credential, NULL, NULL) != ESIGN_OK ||
        site_policy(s, &policy, NULL, NULL) != ESIGN_OK)
        return ESIGN_OK;
    const struct authn_credential c =
        authn_credential_at(credential, policy, clock_now_ms(site_clock(s)));
    return json_object_set_new(view, "credential", credential_view(credential, &c)) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a view");
}
