/* The service's own keys: checkpoints by the log key, certificates by the CA key. */
#include "site/site.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "site/restored.h"

enum { KEYS_CHECKPOINT_MS = 10000, KEYS_NOTE_MAX = 4096 };

/* The log key while a checkpoint is signed. */
struct keys_log {
    struct site *site;
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    int64_t deadline_at_ms;
};

static enum esign_rc keys_sign_checkpoint(void *ctx, struct bytes digest, struct buf *ret_value,
                                          struct fault *f)
{
    const struct keys_log *log = ctx;

    return token_sign(site_token(log->site, SITE_LOG), log->key_id, digest, log->deadline_at_ms,
                      ret_value, f);
}

static enum esign_rc keys_id(const json_t *row, const char *member, uint8_t ret[TOKEN_KEY_ID_LEN],
                             struct fault *f)
{
    const char *text = json_str(row, member);

    if (!text || decode_hex(text, ret, TOKEN_KEY_ID_LEN) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "the site's row has no usable %s", member);
    return ESIGN_OK;
}

enum esign_rc site_checkpoint(struct site *s, struct buf *ret_note, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf note = buf_new(KEYS_NOTE_MAX);
    struct keys_log log = {.site = s,
                           .deadline_at_ms = clock_mono_ms(site_clock(s)) + KEYS_CHECKPOINT_MS};
    enum esign_rc rc = ESIGN_OK;

    if (site_waits(s)) /* it would be of a branch that may be given up */
        rc = fault_reason(f, ESIGN_E_STOPPED, "restored",
                          "the store was put back and is not accepted yet");
    if (rc == ESIGN_OK)
        rc = store_get(site_store(s), "site", "site", &row, NULL, f);
    if (rc == ESIGN_OK)
        rc = keys_id(row, "log_key", log.key_id, f);
    if (rc == ESIGN_OK)
        rc = site_decode(row, "log_spki", &spki, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct audit_signer signer = {keys_sign_checkpoint, &log, buf_bytes(&spki)};
    return audit_checkpoint(site_audit(s), &signer, config_str(site_config(s), "audit.anchor"),
                            ret_note ? ret_note : &note, f);
}

bool site_checkpoint_now(struct site *s)
{
    struct fault f = {0};

    if (site_waits(s))
        return false;
    if (site_checkpoint(s, NULL, &f) == ESIGN_OK)
        return true;
    log_warn("a checkpoint could not be signed code=%s detail=\"%s\"", fault_name(f.rc), f.detail);
    return false;
}

enum esign_rc site_ca(struct site *s, struct ca_key *ret, struct buf *ret_spki,
                      struct buf *ret_cert, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "site", "site", &row, NULL, f);

    if (rc == ESIGN_OK)
        rc = keys_id(row, "ca_key", ret->key_id, f);
    if (rc == ESIGN_OK)
        rc = site_decode(row, "ca_spki", ret_spki, f);
    if (rc == ESIGN_OK)
        rc = site_decode(row, "ca_certificate", ret_cert, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->token = site_token(s, SITE_CA);
    ret->algorithm = token_algorithm_by_name(json_str(row, "ca_algorithm"));
    ret->spki = buf_bytes(ret_spki);
    return ESIGN_OK;
}
