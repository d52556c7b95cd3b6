/* A new signer sets the password in person; key and certificate are made. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "register/register_internal.h"

/* One activation. */
struct activate_job {
    struct site *site;
    const struct register_origin *origin;
    const struct register_activation *a;
    json_t *signer, *secret, *statement, *policy;
    int64_t signer_seq, secret_seq;
    bool proved; /* the caller has the codes */
    const char *signer_id;
    char phc[HASH_PHC_MAX];
    struct register_making making;
};

static void activate_done(struct activate_job *j)
{
    json_decref(j->signer);
    json_decref(j->secret);
    json_decref(j->statement);
    json_decref(j->policy);
    register_making_done(&j->making);
}

static struct audit_act activate_act(const struct activate_job *j, const char *action,
                                     const char *object)
{
    return (struct audit_act){.action = action,
                              .object = object,
                              .actor = {j->signer_id, json_str(j->signer, "user_id"), "signer", 0},
                              .application = j->origin->application,
                              .terminal = j->origin->terminal};
}

/* The signer of the code and the one-time secret; an unknown code leaves both NULL. */
static enum esign_rc activate_find(struct activate_job *j, struct fault *f)
{
    struct store *store = site_store(j->site);
    enum esign_rc rc = authn_find_signer(store, j->a->user_id, &j->signer, &j->signer_seq, f);

    if (rc == ESIGN_E_NOT_FOUND)
        return ESIGN_OK;
    if (rc != ESIGN_OK)
        return rc;
    j->signer_id = json_str(j->signer, "signer_id");
    rc = store_get(store, "secret", j->signer_id, &j->secret, &j->secret_seq, f);
    if (rc == ESIGN_E_NOT_FOUND)
        rc = ESIGN_OK;
    if (rc == ESIGN_OK)
        rc = site_policy(j->site, &j->policy, NULL, f);
    if (rc == ESIGN_OK)
        rc = store_get(store, "statement", "statement", &j->statement, NULL, f);
    return rc;
}

/* A draft has no secret yet; who has its receipt may know that. */
static enum esign_rc activate_check_draft(struct activate_job *j, bool *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *items = NULL;

    if (strcmp(json_str(j->signer, "state"), "proofed") != 0)
        return ESIGN_OK;
    enum esign_rc rc =
        store_list(site_store(j->site), "approval", "signer_id", j->signer_id, NULL, 1, &items, f);

    const json_t *body = json_object_get(json_array_get(items, 0), "body");
    if (rc == ESIGN_OK && json_str(body, "receipt_hash")) /* an officer of an init has none */
        *ret = register_code_is(body, "receipt_hash", j->a->receipt);
    return rc;
}

/* The codes come first: who does not have them learns nothing else. */
static enum esign_rc activate_check_codes(struct activate_job *j, struct fault *f)
{
    const struct register_activation *a = j->a;
    enum esign_rc rc = ESIGN_OK;

    if (j->secret)
        j->proved = register_secret_is(j->secret, a->receipt, a->half);
    else if (j->signer)
        rc = activate_check_draft(j, &j->proved, f);
    if (rc != ESIGN_OK)
        return rc;
    return j->proved ? ESIGN_OK : register_secret_wrong(f);
}

static enum esign_rc activate_check_state(struct activate_job *j, struct fault *f)
{
    const char *state = json_str(j->signer, "state");

    if (strcmp(state, "proofed") == 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, "draft",
                            "nothing is issued before a second officer has approved the evidence");
    if (strcmp(state, "approved") != 0 || !j->secret)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s", state);
    return register_check_secret(j->secret, clock_now_ms(site_clock(j->site)), f);
}

static enum esign_rc activate_check_wishes(struct activate_job *j, struct fault *f)
{
    const struct register_activation *a = j->a;

    if (strcmp(json_str(j->statement, "code"), a->statement_code) != 0 ||
        json_int(j->statement, "version", 0) != a->statement_version)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, "statement_pending",
                            "the statement in force is %s version %lld",
                            json_str(j->statement, "code"),
                            (long long)json_int(j->statement, "version", 0));
    return register_check_password(j->site, a->password, json_str(j->signer, "user_id"), f);
}

/* A signer with a card gets no key: two officers register the card's (card.c). */
static bool activate_is_card(const struct activate_job *j)
{
    return strcmp(j->making.custody, "K3") == 0;
}

/* What key there will be: of the custody that the policy says, and in policy. */
static enum esign_rc activate_choose(struct activate_job *j, struct fault *f)
{
    j->making.signer = j->signer;
    j->making.signer_seq = j->signer_seq;
    j->making.secret = j->secret;
    j->making.secret_seq = j->secret_seq;
    j->making.policy = j->policy;
    j->making.custody = register_custody(j->policy, j->signer);
    if (!activate_is_card(j))
        return register_making_check(&j->making, j->a->algorithm, f);
    return j->a->algorithm
               ? fault_field(f, ESIGN_E_PROTO, "algorithm", "a signer's card brings its own key")
               : ESIGN_OK;
}

static enum esign_rc activate_update_signer(struct activate_job *j, struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    json_t *accepted =
        json_pack("{s:s, s:I, s:s}", "code", json_str(j->statement, "code"), "version",
                  (json_int_t)json_int(j->statement, "version", 0), "accepted", at);
    if (json_object_set_new(j->signer, "state", json_string("active")) ||
        json_object_set_new(j->signer, "activated", json_string(at)) ||
        json_object_set_new(j->signer, "statement", accepted) ||
        json_object_set_new(j->signer, "custody", json_string(j->making.custody)) ||
        json_object_set_new(j->secret, "state", json_string("used")))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    return ESIGN_OK;
}

static enum esign_rc activate_commit(struct activate_job *j, struct fault *f)
{
    char object[80], at[CLOCK_TEXT];
    struct store_change change = {0};
    struct store_receipt receipt;
    enum esign_rc rc = activate_update_signer(j, f);

    if (rc != ESIGN_OK)
        return rc;
    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    CLEANUP(json_decref_p)
    json_t *credential = json_pack("{s:s, s:s, s:s, s:s}", "signer_id", j->signer_id, "state",
                                   "active", "phc", j->phc, "changed", at);
    if (j->making.keygen)
        rc = register_making_into(&j->making, j->signer, credential, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *attempt = json_pack("{s:s, s:i}", "signer_id", j->signer_id, "failures", 0);
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:s, s:s*, s:O*}", "state", "active", "key", json_str(j->signer, "key"),
                  "statement", json_object_get(j->signer, "statement"));
    site_put(&change, "signer", j->signer_id, j->signer);
    site_put(&change, "secret", j->signer_id, j->secret);
    site_put(&change, "credential", j->signer_id, credential);
    site_put(&change, "attempt", j->signer_id, attempt);
    site_guard(&change, "signer", j->signer_id, j->signer_seq);
    site_guard(&change, "secret", j->signer_id,
               j->making.keygen ? j->making.announced_seq : j->secret_seq);
    (void)snprintf(object, sizeof(object), "signer/%s", j->signer_id);
    struct audit_act act = activate_act(j, "signer.activate", object);
    act.new_value = new_value;
    return site_commit(j->site, &act, &change, j->origin->deadline_at_ms, &receipt, f);
}

/* All that can be refused before anything is made. */
static enum esign_rc activate_check(struct activate_job *j, struct fault *f)
{
    enum esign_rc rc = activate_check_codes(j, f);

    if (rc == ESIGN_OK)
        rc = activate_check_state(j, f);
    if (rc == ESIGN_OK)
        rc = activate_check_wishes(j, f);
    if (rc == ESIGN_OK)
        rc = activate_choose(j, f);
    if (rc == ESIGN_OK)
        rc = register_hash_password(j->site, j->making.custody, j->a->password,
                                    j->origin->deadline_at_ms, j->phc, &j->making.sealing, f);
    if (rc == ESIGN_OK && !activate_is_card(j))
        rc = register_making_announce(&j->making, f);
    return rc;
}

/* What follows the announcement. */
static enum esign_rc activate_make(struct activate_job *j, struct fault *f)
{
    enum esign_rc rc = register_making_make(&j->making, f);

    return rc == ESIGN_OK ? activate_commit(j, f) : rc;
}

enum esign_rc register_activate(struct site *s, const struct register_origin *origin,
                                const struct register_activation *a, json_t **ret, struct fault *f)
{
    CLEANUP(activate_done)
    struct activate_job j = {.site = s,
                             .origin = origin,
                             .a = a,
                             .making = {.site = s,
                                        .origin = origin,
                                        .spki = buf_new(TOKEN_SPKI_MAX),
                                        .certificate = buf_new(SITE_CERT_MAX)}};
    enum esign_rc rc = activate_find(&j, f);

    if (rc != ESIGN_OK)
        return rc;
    if (activate_check(&j, f) != ESIGN_OK)
        return register_secret_refused(s, origin, "signer.activate", j.signer, j.proved, f);
    bool card = activate_is_card(&j);
    if (card && activate_commit(&j, f) != ESIGN_OK)
        return register_secret_refused(s, origin, "signer.activate", j.signer, j.proved, f);
    if (!card && activate_make(&j, f) != ESIGN_OK)
        return register_making_failed(&j.making, f);
    site_checkpoint_now(s);
    *ret = register_signer_view(s, j.signer);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}
