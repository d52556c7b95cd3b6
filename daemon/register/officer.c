/* Officers: components proved at every administrative action, refusals in the trail. */
#include <stdio.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "register/register_internal.h"

enum { OFFICER_ENTER_MS = 10000 };

struct audit_act register_act(const struct register_origin *origin,
                              const struct authn_person *officer, const char *action,
                              const char *object, const char *reason)
{
    return (struct audit_act){.action = action,
                              .object = object,
                              .reason = reason,
                              .actor = {officer->signer_id, officer->user_id, "officer", 0},
                              .application = origin->application,
                              .terminal = origin->terminal};
}

int64_t register_later(struct site *s)
{
    return clock_mono_ms(site_clock(s)) + OFFICER_ENTER_MS;
}

enum esign_rc register_refused(struct site *s, const struct register_origin *origin,
                               const struct authn_person *person, const char *action,
                               const char *object, struct fault *f)
{
    struct store_change change = {0};
    struct store_receipt receipt;
    struct fault refused = *f;
    const struct audit_act act = {.action = action,
                                  .object = object,
                                  .result = refused.rc,
                                  .result_reason = refused.reason,
                                  .actor = {person->signer_id, person->user_id, "signer", 0},
                                  .application = origin->application,
                                  .terminal = origin->terminal};

    authn_release_into(person, &change);
    enum esign_rc rc = site_commit(s, &act, &change, register_later(s), &receipt, f);
    if (rc == ESIGN_E_CONFLICT) { /* the act was written and freed the slot with it */
        change = (struct store_change){0};
        rc = site_commit(s, &act, &change, register_later(s), &receipt, f);
    }
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

enum esign_rc register_peer_refused(struct site *s, const struct register_origin *origin,
                                    int64_t uid, const char *action, const char *object,
                                    const char *request, struct fault *f)
{
    struct store_change change = {0};
    struct store_receipt receipt;
    struct fault refused = *f;
    CLEANUP(json_decref_p)
    json_t *new_value = request ? json_pack("{s:s}", "request", request) : NULL;
    const struct audit_act act = {.action = action,
                                  .object = object,
                                  .result = refused.rc,
                                  .result_reason = refused.reason,
                                  .actor = {.role = "peer", .uid = uid},
                                  .application = origin->application,
                                  .terminal = origin->terminal,
                                  .new_value = new_value};

    enum esign_rc rc = site_commit(s, &act, &change, register_later(s), &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

struct authn_claim register_claim(struct site *s, const struct register_origin *origin,
                                  const char *user_id, const struct secret *password,
                                  const json_t *policy)
{
    return (struct authn_claim){user_id,
                                password,
                                origin->application,
                                origin->terminal,
                                authn_limits_of(policy),
                                origin->deadline_at_ms,
                                site_turns(s)};
}

enum esign_rc register_officer(struct site *s, const struct register_origin *origin,
                               const char *user_id, const struct secret *password, const char *role,
                               const char *role2, struct authn_person *ret, struct fault *f)
{
    CLEANUP(authn_person_done) struct authn_person person = {0};
    CLEANUP(json_decref_p) json_t *policy = NULL;
    char object[80];
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    const struct authn_claim claim = register_claim(s, origin, user_id, password, policy);
    rc = authn_components(site_store(s), site_hash(s), &claim, &person, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!authz_has_role(person.signer, role) && !(role2 && authz_has_role(person.signer, role2))) {
        (void)snprintf(object, sizeof(object), "signer/%s", person.signer_id);
        (void)fault_reason(f, ESIGN_E_AUTHZ, role, "this needs the role %s",
                           role); /* entered below */
        return register_refused(s, origin, &person, "role.refused", object, f);
    }
    *ret = person;
    person = (struct authn_person){0};
    return ESIGN_OK;
}
