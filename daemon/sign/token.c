/* The step in which a key signs, and the assembly of the signed object. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cms/keys.h"
#include "sign/job.h"

/* A worker died in the call: whether it signed is unknown, so the second try is an entry of its
 * own. */
static enum esign_rc token_enter_retry(struct sign_job *j, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct store_change change = {0};
    struct store_receipt receipt;

    (void)snprintf(object, sizeof(object), "signature/%s", j->signature_id);
    struct audit_act act = sign_job_act(j, "signature.retry", object);
    act.result = ESIGN_E_HSM;
    act.result_reason = "worker";
    return site_commit(j->site, &act, &change, j->act->deadline_at_ms, &receipt, f);
}

static enum esign_rc token_try(struct sign_job *j, struct fault *f)
{
    buf_clear(&j->value);
    return token_sign(site_token(j->site, SITE_SIGNER), j->key_id, buf_bytes(&j->digest),
                      site_token_deadline(j->site, SITE_SIGNER, j->act->deadline_at_ms), &j->value,
                      f);
}

/* Sign, once more if the worker died, and check the value before anybody sees it. */
enum esign_rc sign_step_token(struct sign_job *j, struct fault *f)
{
    bool right = false;
    enum esign_rc rc = token_try(j, f);

    if (rc == ESIGN_E_HSM && strcmp(f->reason, "worker") == 0) {
        rc = token_enter_retry(j, f);
        if (rc == ESIGN_OK)
            rc = token_try(j, f);
    }
    if (rc == ESIGN_OK)
        rc = cms_keys_check(site_public_keys(j->site), buf_bytes(&j->certificate),
                            buf_bytes(&j->digest), buf_bytes(&j->value), &right, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!right) {
        log_error("the token gave a wrong signature value key=%s", json_str(j->key.body, "key"));
        return fault_reason(f, ESIGN_E_HSM, "value", "the token gave a wrong signature value");
    }
    return ESIGN_OK;
}

enum esign_rc sign_step_assemble(struct sign_job *j, struct fault *f)
{
    const struct bytes chain[] = {buf_bytes(&j->ca_certificate)};

    return cms_signed_data(buf_bytes(&j->signed_attributes), j->algorithm, buf_bytes(&j->value),
                           buf_bytes(&j->certificate), chain, 1, &j->cms, f);
}
