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

static enum esign_rc expiry_certificate(struct site *s, const json_t *signer, struct expiry *e,
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

/* The walk over all active signers. */
struct expiry_walk {
    struct site *site;
    const json_t *policy;
    struct expiry *expiry;
};

static enum esign_rc expiry_signer(void *ctx, const struct store_walked *row, struct fault *f)
{
    const struct expiry_walk *w = ctx;
    enum esign_rc rc = expiry_certificate(w->site, row->body, w->expiry, f);

    return rc == ESIGN_OK ? expiry_password(w->site, row->id, w->policy, w->expiry, f) : rc;
}

static enum esign_rc expiry_signers(struct site *s, struct expiry *e, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc rc = site_policy(s, &policy, NULL, f);
    struct expiry_walk w = {s, policy, e};
    const struct store_walk walk = {"signer", "state", "active", -1, expiry_signer, &w};

    return rc == ESIGN_OK ? store_walk(site_store(s), &walk, f) : rc;
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
