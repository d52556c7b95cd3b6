#include "sign/custody.h"

#include <string.h>

#include "authn/seal.h"
#include "base/cleanup.h"
#include "base/encode.h"

static bool custody_is_sealed(const struct sign_job *j)
{
    return strcmp(json_str(j->key.body, "custody"), "K2") == 0;
}

enum site_role sign_token_role(const struct sign_job *j)
{
    return custody_is_sealed(j) ? SITE_KEK : SITE_SIGNER;
}

/* The wrapping key as the row of the signer's key names it. */
static enum esign_rc custody_wrapper(const struct sign_job *j, struct token_wrapper *ret,
                                     struct fault *f)
{
    const char *kek = json_str(j->key.body, "kek"), *wrap = json_str(j->key.body, "wrap");

    ret->wrap = wrap ? token_wrap_by_name(wrap) : (enum token_wrap)0;
    if (!ret->wrap || !kek || decode_hex(kek, ret->kek_id, sizeof(ret->kek_id)) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "the signer's key row is not usable");
    return site_token(j->site, SITE_KEK)
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, "roles.kek", "no token has the role kek");
}

enum esign_rc sign_open_key(struct sign_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *credential = NULL;
    struct token_wrapper wrapper;
    struct seal_about about;

    if (!custody_is_sealed(j))
        return ESIGN_OK;
    enum esign_rc rc = custody_wrapper(j, &wrapper, f);
    if (rc == ESIGN_OK)
        rc =
            store_get(site_store(j->site), "credential", j->person.signer_id, &credential, NULL, f);
    if (rc == ESIGN_OK)
        rc = seal_about_row(j->key.body, j->person.signer_id, json_str(j->person.signer, "key"),
                            json_int(credential, "seal", 0), &j->spki, &about, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!j->person.sealing)
        return fault_set(f, ESIGN_E_INTERNAL, "the password's hash is not one of custody K2");
    j->wrapped = buf_new_locked(TOKEN_WRAPPED_MAX);
    return seal_open(j->person.sealing, &about, json_object_get(j->key.body, "sealed"), &j->wrapped,
                     f);
}

enum esign_rc sign_token_try(struct sign_job *j, struct fault *f)
{
    enum site_role role = sign_token_role(j);
    struct token *token = site_token(j->site, role);
    int64_t deadline = site_token_deadline(j->site, role, j->act->deadline_at_ms);
    struct token_wrapper wrapper;

    if (role != SITE_KEK)
        return token_try(token, j->key_id, buf_bytes(&j->digest), deadline, &j->value, f);
    enum esign_rc rc = custody_wrapper(j, &wrapper, f);
    return rc == ESIGN_OK ? token_try_wrapped(token, &wrapper, j->algorithm, buf_bytes(&j->wrapped),
                                              buf_bytes(&j->spki), buf_bytes(&j->digest), deadline,
                                              &j->value, f)
                          : rc;
}
