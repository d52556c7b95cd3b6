/* The last officers: nobody may end the administration of the site by taking them away. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "register/register_internal.h"

static const char *const last_roles[REGISTER_LAST_ROLES] = {"regadmin", "secofficer"};

/* Who waits for a new password can't act, and perhaps never will; nor who is locked, if that
 * counts.
 */
static enum esign_rc last_is_able(struct site *s, const char *signer_id, int64_t lock_after,
                                  bool *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *credential = NULL;
    bool locked = false;
    enum esign_rc rc = store_get(site_store(s), "credential", signer_id, &credential, NULL, f);

    if (rc == ESIGN_OK && lock_after > 0)
        rc = authn_is_locked(site_store(s), signer_id, lock_after, &locked, f);
    if (rc == ESIGN_OK)
        *ret = strcmp(json_str(credential, "state"), "revoked") != 0 && !locked;
    return rc;
}

/* The walk over all active persons. */
struct last_walk {
    struct site *site;
    const char *leaver_id;
    struct register_last *ret;
};

/* Note an active person as one who remains, if more are wanted for the role. */
static enum esign_rc last_note(void *ctx, const struct store_walked *row, struct fault *f)
{
    const struct last_walk *w = ctx;
    const json_t *signer = row->body;
    bool officer = false, able = false;

    for (size_t i = 0; i < REGISTER_LAST_ROLES; i++)
        officer = officer || authz_has_role(signer, last_roles[i]);
    if (!officer || strcmp(row->id, w->leaver_id) == 0)
        return ESIGN_OK;
    enum esign_rc rc = last_is_able(w->site, row->id, w->ret->lock_after, &able, f);
    if (rc != ESIGN_OK || !able)
        return rc;
    for (size_t i = 0; i < REGISTER_LAST_ROLES; i++) {
        struct register_remaining *remaining = &w->ret->roles[i];
        if (remaining->count == REGISTER_LAST_PERSONS || !authz_has_role(signer, last_roles[i]))
            continue;
        (void)snprintf(remaining->signer_id[remaining->count], SITE_ID_MAX, "%s", row->id);
        remaining->seq[remaining->count++] = row->seq;
    }
    return ESIGN_OK;
}

static enum esign_rc last_find(struct site *s, const char *leaver_id, struct register_last *ret,
                               struct fault *f)
{
    struct last_walk w = {s, leaver_id, ret};
    const struct store_walk walk = {"signer", "state", "active", -1, last_note, &w};

    return store_walk(site_store(s), &walk, f);
}

enum esign_rc register_keep_officers(struct site *s, const json_t *leaver,
                                     struct register_last *ret, struct store_change *change,
                                     struct fault *f)
{
    bool officer = false;

    *ret = (struct register_last){0};
    for (size_t i = 0; i < REGISTER_LAST_ROLES; i++)
        officer = officer || authz_has_role(leaver, last_roles[i]);
    if (!officer || strcmp(json_str(leaver, "state"), "active") != 0)
        return ESIGN_OK;
    enum esign_rc rc = last_find(s, json_str(leaver, "signer_id"), ret, f);
    for (size_t i = 0; rc == ESIGN_OK && i < REGISTER_LAST_ROLES; i++) {
        struct register_remaining *remaining = &ret->roles[i];
        if (!authz_has_role(leaver, last_roles[i]))
            continue;
        if (remaining->count < REGISTER_LAST_PERSONS)
            return fault_reason(f, ESIGN_E_DUAL_REQUIRED, "last-officers",
                                "fewer than %d persons with the role %s would remain; enrol "
                                "another one first",
                                REGISTER_LAST_PERSONS, last_roles[i]);
        for (size_t k = 0; k < remaining->count; k++)
            site_guard(change, "signer", remaining->signer_id[k], remaining->seq[k]);
    }
    return rc;
}

/* Whether somebody with the role remains besides that person; NULL: anybody. */
static bool last_other(const struct register_last *last, const char *role, const char *signer_id)
{
    for (size_t i = 0; i < REGISTER_LAST_ROLES; i++)
        for (size_t k = 0; strcmp(last_roles[i], role) == 0 && k < last->roles[i].count; k++)
            if (!signer_id || strcmp(last->roles[i].signer_id[k], signer_id) != 0)
                return true;
    return false;
}

enum esign_rc register_check_second(struct site *s, const char *role, const char *requester,
                                    const char *subject, struct fault *f)
{
    struct register_last last = {0};
    enum esign_rc rc = last_find(s, subject, &last, f);

    if (rc != ESIGN_OK)
        return rc;
    if (last_other(&last, role, requester))
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_DUAL_REQUIRED, "last-officers",
                        "two other officers are needed for this, and there is nobody with the role "
                        "%s who could approve it",
                        role);
}

enum esign_rc register_check_nobody(struct site *s, const char *signer_id, int64_t lock_after,
                                    struct fault *f)
{
    struct register_last last = {.lock_after = lock_after};
    enum esign_rc rc = last_find(s, signer_id, &last, f);

    if (rc == ESIGN_OK && last_other(&last, "secofficer", NULL))
        rc = fault_reason(f, ESIGN_E_POLICY, "officer-left",
                          "an officer can do this: esign signer unlock USER_ID --reason TEXT");
    return rc;
}
