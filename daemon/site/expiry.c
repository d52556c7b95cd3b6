#include "site/expiry.h"

#include <string.h>

#include "authn/credential.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cms/certificate.h"

static enum esign_rc expiry_of(const json_t *row, const char *member, int64_t *ret_ms,
                               struct fault *f)
{
    CLEANUP(buf_done) struct buf certificate = buf_new(SITE_CERT_MAX);
    enum esign_rc rc = site_decode(row, member, &certificate, f);

    return rc == ESIGN_OK ? cms_certificate_end(buf_bytes(&certificate), ret_ms, f) : rc;
}

static enum esign_rc expiry_ca(struct site *s, struct expiry *e, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "site", "site", &row, NULL, f);

    if (rc == ESIGN_OK)
        rc = expiry_of(row, "ca_certificate", &e->ca_end_ms, f);
    e->has_ca = rc == ESIGN_OK;
    return rc;
}

static enum esign_rc expiry_signer(struct site *s, const json_t *signer, struct expiry *e,
                                   struct fault *f)
{
    CLEANUP(json_decref_p) json_t *key = NULL;
    const char *id = json_str(signer, "key");
    int64_t end_ms = 0;

    if (!id)
        return ESIGN_OK; /* an officer without a key of signing */
    enum esign_rc rc = store_get(site_store(s), "key", id, &key, NULL, f);
    if (rc == ESIGN_OK)
        rc = expiry_of(key, "certificate", &end_ms, f);
    if (rc == ESIGN_OK && (!e->has_signer || end_ms < e->signer_end_ms)) {
        e->has_signer = true;
        e->signer_end_ms = end_ms;
    }
    return rc;
}

static enum esign_rc expiry_password(struct site *s, const char *signer_id, const json_t *policy,
                                     struct expiry *e, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "credential", signer_id, &row, NULL, f);

    if (rc != ESIGN_OK)
        return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
    const struct authn_credential c = authn_credential_at(row, policy, clock_now_ms(site_clock(s)));
    e->ended += strcmp(c.state, "expired") == 0;
    if (strcmp(c.state, "active") == 0 && (!e->has_password || c.expires_ms < e->password_end_ms)) {
        e->has_password = true;
        e->password_end_ms = c.expires_ms;
    }
    return ESIGN_OK;
}

static enum esign_rc expiry_signers(struct site *s, struct expiry *e, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc got = site_policy(s, &policy, NULL, f);

    if (got != ESIGN_OK)
        return got;
    char after[SITE_ID_MAX + 1] = "";

    for (;;) {
        CLEANUP(json_decref_p) json_t *part = NULL;
        enum esign_rc rc = store_list(site_store(s), "signer", "state", "active",
                                      after[0] ? after : NULL, EXPIRY_PART, &part, f);
        size_t count = rc == ESIGN_OK ? json_array_size(part) : 0;
        for (size_t i = 0; rc == ESIGN_OK && i < count; i++) {
            const json_t *one = json_array_get(part, i);
            rc = expiry_signer(s, json_object_get(one, "body"), e, f);
            if (rc == ESIGN_OK)
                rc = expiry_password(s, json_str(one, "id"), policy, e, f);
        }
        if (rc != ESIGN_OK || count < EXPIRY_PART)
            return rc;
        (void)snprintf(after, sizeof(after), "%s",
                       json_str(json_array_get(part, count - 1), "id")); /* at most SITE_ID_MAX */
    }
}

static void expiry_refresh(struct site *s, struct expiry *e)
{
    struct fault f = {0};
    int64_t now_ms = clock_mono_ms(site_clock(s));

    if (e->found && now_ms - e->found_at_ms < EXPIRY_KEEP_MS)
        return;
    e->has_ca = e->has_signer = e->has_password = false;
    e->ended = 0;
    enum esign_rc rc = expiry_ca(s, e, &f);
    if (rc == ESIGN_OK)
        rc = expiry_signers(s, e, &f);
    if (rc != ESIGN_OK)
        log_warn("ends of certificates and passwords can't be read code=%s detail=\"%s\"",
                 fault_name(rc), f.detail);
    e->found = e->has_ca && e->has_signer; /* until there is a signer, look each time */
    e->found_at_ms = now_ms;
}

void expiry_find(struct site *s, struct watch *ret)
{
    struct expiry *e = site_expiry(s);
    int64_t now_ms = clock_now_ms(site_clock(s));

    (void)pthread_mutex_lock(&e->mutex); /* can't fail: initialised and not recursive */
    expiry_refresh(s, e);
    ret->ca = (struct watch_expiry){e->has_ca, e->ca_end_ms - now_ms};
    ret->signer = (struct watch_expiry){e->has_signer, e->signer_end_ms - now_ms};
    ret->password = (struct watch_expiry){e->has_password, e->password_end_ms - now_ms};
    ret->passwords_ended = e->ended;
    (void)pthread_mutex_unlock(&e->mutex); /* as above */
}
