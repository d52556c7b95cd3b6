#include "authn/credential.h"

#include <string.h>

#include "base/cleanup.h"

enum { CREDENTIAL_AGE_D = 365, CREDENTIAL_DAY_MS = 24 * 3600 * 1000 };

struct authn_credential authn_credential_at(const json_t *credential, const json_t *policy,
                                            int64_t now_ms)
{
    const char *state = json_str(credential, "state"), *changed = json_str(credential, "changed");
    struct authn_credential c = {.state = state ? state : "revoked"};
    int64_t changed_ms = 0;

    if (!changed || clock_parse_utc(changed, &changed_ms) != ESIGN_OK)
        changed_ms = 0; /* unknown age: expired, so that it is changed */
    c.expires_ms =
        changed_ms + json_int(policy, "password.max_age_d", CREDENTIAL_AGE_D) * CREDENTIAL_DAY_MS;
    c.days_left = now_ms < c.expires_ms ? (c.expires_ms - now_ms) / CREDENTIAL_DAY_MS : 0;
    if (strcmp(c.state, "active") == 0 && now_ms >= c.expires_ms)
        c.state = "expired";
    c.warn = strcmp(c.state, "active") == 0 && c.days_left < AUTHN_WARN_DAYS;
    return c;
}

enum esign_rc authn_credential_usable(struct store *store, const json_t *credential,
                                      enum authn_purpose purpose, struct fault *f)
{
    CLEANUP(store_view_done) struct store_view policy = {0};
    enum esign_rc rc = store_look(store, "policy", "policy", &policy, f);

    if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
        return rc;
    const struct authn_credential c =
        authn_credential_at(credential, policy.body, clock_now_ms(store_clock(store)));
    if (strcmp(c.state, "active") == 0)
        return ESIGN_OK;
    if (strcmp(c.state, "revoked") == 0)
        return fault_reason(f, ESIGN_E_CRED_STATE, c.state,
                            "this password was revoked; set a new one with the two halves of the "
                            "one-time secret");
    if (purpose == AUTHN_CHANGE)
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_CRED_STATE, c.state,
                        strcmp(c.state, "expired") == 0 ? "this password is too old; change it"
                                                        : "this password must be changed first");
}
