/* A forgotten password: ended by two officers, who give the one-time secret of a new one. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "register/register_internal.h"

static const struct json_field reset_fields[] = {{"user_id", JSON_FIELD_STR, true, 64}};

/* A signer whose activation was not done in time gets a new secret for it in the same way. */
static enum esign_rc reset_check_state(const json_t *signer, struct fault *f)
{
    const char *state = json_str(signer, "state");

    if (strcmp(state, "active") == 0 || strcmp(state, "approved") == 0)
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_SIGNER_STATE, strcmp(state, "proofed") ? state : "draft",
                        "the signer is %s and gets no password", state);
}

static enum esign_rc reset_request(struct site *s, const struct authn_person *officer,
                                   const json_t *params, struct store_change *change,
                                   json_t *approval, struct fault *f)
{
    const char *role = authz_dual_find("credential.reset")->approve_role;
    CLEANUP(json_decref_p) json_t *signer = NULL;
    char object[SITE_ID_MAX + 8];
    int64_t seq = -1;
    enum esign_rc rc = json_check(params, "params", reset_fields, 1, f);

    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), json_str(params, "user_id"), &signer, &seq, f);
    if (rc == ESIGN_OK)
        rc = reset_check_state(signer, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(signer, "signer_id");
    if (strcmp(signer_id, officer->signer_id) == 0)
        return fault_set(f, ESIGN_E_DUAL_SELF,
                         "two other officers reset an officer's password; change it yourself");
    rc = register_check_second(s, role, officer->signer_id, signer_id, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    if (json_object_set_new(approval, "object", json_string(object)) != 0 ||
        json_object_set_new(approval, "signer_id", json_string(signer_id)) != 0 ||
        json_object_set(approval, "user_id", json_object_get(signer, "user_id")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    site_guard(change, "signer", json_str(approval, "signer_id"), seq); /* it outlives this */
    return ESIGN_OK;
}

/* The password is dead from this change on, and says who ended it. */
static enum esign_rc reset_end(json_t *credential, const json_t *approval,
                               const struct authn_person *officer, int64_t now_ms, struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(now_ms, at);
    (void)json_object_del(credential, "must_change"); /* absent: nothing to do */
    if (json_object_set_new(credential, "state", json_string("revoked")) != 0 ||
        json_object_set_new(credential, "reset_at", json_string(at)) != 0 ||
        json_object_set_new(
            credential, "reset_by",
            json_pack("[s, s]", json_str(approval, "requested_by_user"), officer->user_id)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a credential");
    return ESIGN_OK;
}

/* A row that the change needs, kept in the approval's bag and guarded. */
static enum esign_rc reset_row(struct site *s, json_t *approval, const char *kind,
                               struct store_change *change, json_t **ret, struct fault *f)
{
    const char *signer_id = json_str(approval, "signer_id");
    json_t *row = NULL;
    int64_t seq = -1;
    enum esign_rc rc = store_get(site_store(s), kind, signer_id, &row, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (!register_keep(json_object_get(approval, "bag"), row))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    site_put(change, kind, signer_id, row);
    site_guard(change, kind, signer_id, seq);
    *ret = row;
    return ESIGN_OK;
}

static enum esign_rc reset_approve(struct site *s, const struct authn_person *officer,
                                   json_t *approval, struct store_change *change, json_t *reply,
                                   struct fault *f)
{
    json_t *signer = NULL, *credential = NULL;
    /* the signer's row stays as it is but its generation moves: whoever counts on this person as an
     * officer who remains is refused */
    enum esign_rc rc = reset_row(s, approval, "signer", change, &signer, f);

    if (rc == ESIGN_OK)
        rc = reset_check_state(signer, f);
    if (rc != ESIGN_OK)
        return rc;
    if (strcmp(json_str(signer, "state"), "active") == 0) {
        rc = reset_row(s, approval, "credential", change, &credential, f);
        if (rc == ESIGN_OK)
            rc = reset_end(credential, approval, officer, clock_now_ms(site_clock(s)), f);
        if (rc == ESIGN_OK && register_is_sealed(signer))
            rc = register_end_sealed(s, signer, json_object_get(approval, "bag"), change, f);
    }
    return rc == ESIGN_OK ? register_issue_secret(s, approval, change, reply, f) : rc;
}

const struct register_action register_reset_action = {"credential.reset", reset_request,
                                                      reset_approve, NULL, true};

/* One setting of a new password. */
struct reset_job {
    struct site *site;
    const struct register_origin *origin;
    const struct register_setting *given;
    json_t *signer, *secret, *credential; /* NULL: there is none */
    json_t *policy;
    int64_t signer_seq, secret_seq, credential_seq;
    const char *signer_id;         /* borrowed from signer */
    bool proved;                   /* the caller has both halves */
    struct register_making making; /* custody K2: of the new key */
};

static void reset_done(struct reset_job *j)
{
    json_decref(j->signer);
    json_decref(j->secret);
    json_decref(j->credential);
    json_decref(j->policy);
    register_making_done(&j->making);
}

/* An unknown code leaves all rows NULL. */
static enum esign_rc reset_find(struct reset_job *j, struct fault *f)
{
    struct store *store = site_store(j->site);
    enum esign_rc rc = authn_find_signer(store, j->given->user_id, &j->signer, &j->signer_seq, f);

    if (rc == ESIGN_OK) {
        j->signer_id = json_str(j->signer, "signer_id");
        rc = store_get(store, "secret", j->signer_id, &j->secret, &j->secret_seq, f);
    }
    if (rc == ESIGN_OK)
        rc = store_get(store, "credential", j->signer_id, &j->credential, &j->credential_seq, f);
    return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
}

/* Custody K2: the key has died with the password; one of the same algorithm takes its place.
 * Source: requirements 1.6, 5.9. */
static enum esign_rc reset_announce(struct reset_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *old = NULL;
    enum esign_rc rc =
        store_get(site_store(j->site), "key", json_str(j->signer, "key"), &old, NULL, f);

    if (rc == ESIGN_OK)
        rc = site_policy(j->site, &j->policy, NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    j->making.signer = j->signer;
    j->making.signer_seq = j->signer_seq;
    j->making.secret = j->secret;
    j->making.secret_seq = j->secret_seq;
    j->making.policy = j->policy;
    rc = register_making_check(&j->making, json_str(old, "algorithm"), f);
    return rc == ESIGN_OK ? register_making_announce(&j->making, f) : rc;
}

/* The halves come first: who does not have them learns nothing else. */
static enum esign_rc reset_check(struct reset_job *j, struct fault *f)
{
    j->proved = j->secret && register_secret_is(j->secret, j->given->receipt, j->given->half);
    if (!j->proved)
        return register_secret_wrong(f);
    const char *state = json_str(j->signer, "state");
    if (strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s%s", state,
                            strcmp(state, "approved") ? "" : "; the secret is for the activation");
    enum esign_rc rc = register_check_secret(j->secret, clock_now_ms(site_clock(j->site)), f);
    if (rc == ESIGN_OK)
        rc = register_renew_password(j->site, j->credential, j->signer, j->given->password,
                                     j->origin->deadline_at_ms, &j->making.sealing, f);
    if (rc == ESIGN_OK && register_is_sealed(j->signer))
        rc = reset_announce(j, f);
    return rc;
}

/* The officers who gave the halves know whom they gave them to: that also ends a lock. */
static enum esign_rc reset_commit(struct reset_job *j, struct fault *f)
{
    char object[SITE_ID_MAX + 8];
    struct store_change change = {0};
    struct store_receipt receipt;
    const struct register_making *made = j->making.keygen ? &j->making : NULL;
    CLEANUP(json_decref_p)
    json_t *attempt = json_pack("{s:s, s:i}", "signer_id", j->signer_id, "failures", 0);
    CLEANUP(json_decref_p) json_t *old_value = json_pack("{s:s}", "state", "revoked");
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack(
        "{s:s, s:s, s:s*, s:O*, s:s*}", "state", "active", "changed",
        json_str(j->credential, "changed"), "reset_at", json_str(j->credential, "reset_at"),
        "reset_by", json_object_get(j->credential, "reset_by"), "key", made ? made->key_hex : NULL);

    if (json_object_set_new(j->secret, "state", json_string("used")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a secret");
    if (made) {
        enum esign_rc rc = register_making_into(&j->making, j->signer, j->credential, &change, f);
        if (rc != ESIGN_OK)
            return rc;
        site_put(&change, "signer", j->signer_id, j->signer);
    }
    site_put(&change, "credential", j->signer_id, j->credential);
    site_put(&change, "secret", j->signer_id, j->secret);
    site_put(&change, "attempt", j->signer_id, attempt);
    site_guard(&change, "signer", j->signer_id, j->signer_seq);
    site_guard(&change, "credential", j->signer_id, j->credential_seq);
    site_guard(&change, "secret", j->signer_id, made ? made->announced_seq : j->secret_seq);
    (void)snprintf(object, sizeof(object), "signer/%s", j->signer_id);
    const struct audit_act act = {
        .action = "credential.set",
        .object = object,
        .actor = {j->signer_id, json_str(j->signer, "user_id"), "signer", 0},
        .application = j->origin->application,
        .terminal = j->origin->terminal,
        .old_value = old_value,
        .new_value = new_value};
    return site_commit(j->site, &act, &change, j->origin->deadline_at_ms, &receipt, f);
}

enum esign_rc register_set_password(struct site *s, const struct register_origin *origin,
                                    const struct register_setting *given, json_t **ret,
                                    struct fault *f)
{
    CLEANUP(reset_done)
    struct reset_job j = {.site = s,
                          .origin = origin,
                          .given = given,
                          .making = {.site = s,
                                     .origin = origin,
                                     .custody = "K2",
                                     .spki = buf_new(TOKEN_SPKI_MAX),
                                     .certificate = buf_new(SITE_CERT_MAX)}};
    enum esign_rc rc = reset_find(&j, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = reset_check(&j, f);
    bool announced = rc == ESIGN_OK && j.making.keygen;
    if (announced)
        rc = register_making_make(&j.making, f);
    if (rc == ESIGN_OK)
        rc = reset_commit(&j, f);
    if (rc != ESIGN_OK && announced)
        return register_making_failed(&j.making, f);
    if (rc != ESIGN_OK)
        return register_secret_refused(s, origin, "credential.set", j.signer, j.proved, f);
    site_checkpoint_now(s);
    *ret = register_signer_view(s, j.signer);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}
