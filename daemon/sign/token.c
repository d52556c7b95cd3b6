/* The step in which a key signs, and the assembly of the signed object. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cms/keys.h"
#include "sign/custody.h"

/* Why a first try failed, and since when it had been going on. */
struct token_first {
    int64_t began_ms; /* monotonic */
    enum esign_rc rc;
    char reason[sizeof(((struct fault *)0)->reason)];
};

static bool token_failed_by(const struct token_first *first, const char *reason)
{
    return first->rc == ESIGN_E_HSM && strcmp(first->reason, reason) == 0;
}

/* Whether a second try can help: the worker died or hung, lost the token, or gave a wrong value.
 * Not where no worker has the token, nor where the request's own time is over. */
static bool token_is_worth_again(const struct sign_job *j, const struct token_first *first)
{
    if (clock_mono_ms(site_clock(j->site)) >= j->act->deadline_at_ms)
        return false;
    return first->rc == ESIGN_E_DEADLINE || token_failed_by(first, "worker") ||
           token_failed_by(first, "lost") || token_failed_by(first, "value");
}

/* Whether the first try has signed is unknown, so the second one is an entry of its own. */
static enum esign_rc token_enter_retry(struct sign_job *j, const struct token_first *first,
                                       struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct store_change change = {0};
    struct store_receipt receipt;

    (void)snprintf(object, sizeof(object), "signature/%s", j->signature_id);
    struct audit_act act = sign_job_act(j, "signature.retry", object);
    act.result = first->rc;
    act.result_reason = first->reason;
    return site_commit(j->site, &act, &change, j->act->deadline_at_ms, &receipt, f);
}

/* Have the token opened anew for the second try, unless only a worker died: what made one session
 * hang, fail or answer with another key is seldom true of that one only. */
static enum esign_rc token_prepare_again(struct sign_job *j, const struct token_first *first,
                                         struct fault *f)
{
    int64_t age_ms = clock_mono_ms(site_clock(j->site)) - first->began_ms;

    if (token_failed_by(first, "worker"))
        return ESIGN_OK;
    enum site_role role = sign_token_role(j);
    return token_renew(site_token(j->site, role), (uint32_t)age_ms,
                       site_token_deadline(j->site, role, j->act->deadline_at_ms), f);
}

/* Sign, and check the value before anybody sees it. */
static enum esign_rc token_sign_checked(struct sign_job *j, struct fault *f)
{
    bool right = false;

    buf_clear(&j->value);
    enum esign_rc rc = sign_token_try(j, f);
    if (rc == ESIGN_OK)
        rc = cms_keys_check(site_public_keys(j->site), buf_bytes(&j->certificate),
                            buf_bytes(&j->digest), buf_bytes(&j->value), &right, f);
    if (rc != ESIGN_OK || right)
        return rc;
    buf_clear(&j->value);
    log_error("the token gave a wrong signature value key=%s", json_str(j->key.body, "key"));
    return fault_reason(f, ESIGN_E_HSM, "value", "the token gave a wrong signature value");
}

/* Sign, once more where that can help. */
enum esign_rc sign_step_token(struct sign_job *j, struct fault *f)
{
    struct token_first first = {.began_ms = clock_mono_ms(site_clock(j->site))};
    enum esign_rc rc = token_sign_checked(j, f);

    first.rc = rc;
    (void)snprintf(first.reason, sizeof(first.reason), "%s", rc == ESIGN_OK ? "" : f->reason);
    if (rc != ESIGN_OK && token_is_worth_again(j, &first)) {
        rc = token_enter_retry(j, &first, f);
        if (rc == ESIGN_OK)
            rc = token_prepare_again(j, &first, f);
        if (rc == ESIGN_OK)
            rc = token_sign_checked(j, f);
    }
    if (rc == ESIGN_E_HSM && strcmp(f->reason, "lost") == 0) /* a word of workers, not of ours */
        return fault_reason(f, rc, "unavailable", "%.190s", f->detail);
    return rc;
}

enum esign_rc sign_step_assemble(struct sign_job *j, struct fault *f)
{
    const struct bytes chain[] = {buf_bytes(&j->ca_certificate)};

    return cms_signed_data(buf_bytes(&j->signed_attributes), j->algorithm, buf_bytes(&j->value),
                           buf_bytes(&j->certificate), chain, 1, &j->cms, f);
}
