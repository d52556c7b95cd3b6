#include "pkcs11/sign.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/op.h"

enum { SIGN_INPUT_MAX = TOKEN_DIGEST_MAX + 32 };

/* After a failure: the operation may not have ended, and the next one must be able to begin. */
static enum esign_rc sign_leave(struct pkcs11_session *s, enum esign_rc rc, struct fault *f)
{
    return pkcs11_session_renew(s, f) == ESIGN_OK ? rc : ESIGN_E_HSM;
}

/* The calls of one signature; *ret_len: in room of TOKEN_SIGNATURE_MAX bytes. */
static enum esign_rc sign_call(struct pkcs11_session *s, const struct pkcs11_key *key,
                               struct buf *input, uint8_t room[TOKEN_SIGNATURE_MAX],
                               CK_ULONG *ret_len, bool *ret_stale, struct fault *f)
{
    CK_MECHANISM mechanism = {key->mechanism->sign, NULL, 0};

    *ret_len = TOKEN_SIGNATURE_MAX;
    CK_RV rv = s->calls->C_SignInit(s->handle, &mechanism, key->handle);
    if (rv == CKR_OK && key->wants_pin) {
        enum esign_rc rc = pkcs11_session_authenticate(s, f);
        if (rc != ESIGN_OK)
            return sign_leave(s, rc, f);
    }
    if (rv == CKR_OK)
        rv = s->calls->C_Sign(s->handle, input->data, input->len, room, ret_len);
    if (rv == CKR_OK)
        return ESIGN_OK;
    enum pkcs11_ckr_class class = pkcs11_ckr_class(rv);
    enum esign_rc rc = pkcs11_fail(f, rv, "C_Sign");
    *ret_stale = class == PKCS11_CKR_STALE;
    return class == PKCS11_CKR_GONE ? rc : sign_leave(s, rc, f);
}

enum esign_rc pkcs11_sign_key(struct pkcs11_session *session, const struct pkcs11_key *key,
                              struct bytes digest, struct buf *out, bool *ret_stale,
                              struct fault *f)
{
    CLEANUP(buf_done) struct buf input = buf_new(SIGN_INPUT_MAX);
    uint8_t value[TOKEN_SIGNATURE_MAX];
    CK_ULONG value_len = 0;
    bool stale = false;

    if (digest.len != key->mechanism->digest_len)
        return fault_set(f, ESIGN_E_PROTO, "this key signs digests of %zu bytes, not %zu",
                         key->mechanism->digest_len, digest.len);
    pkcs11_mechanism_put_input(key->mechanism, digest, &input);
    if (!buf_ok(&input))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a digest");
    enum esign_rc rc = sign_call(session, key, &input, value, &value_len, &stale, f);
    if (ret_stale)
        *ret_stale = stale;
    if (rc != ESIGN_OK)
        return rc;
    return pkcs11_mechanism_put_value(key->mechanism, bytes_of(value, value_len), out, f);
}

enum esign_rc pkcs11_sign(struct pkcs11_session *session, struct pkcs11_keys *keys,
                          const uint8_t id[TOKEN_KEY_ID_LEN], struct bytes digest, struct buf *out,
                          struct fault *f)
{
    struct pkcs11_key key;
    bool stale = false;

    enum esign_rc rc = pkcs11_key_find(session, keys, id, &key, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_sign_key(session, &key, digest, out, &stale, f);
    if (!stale)
        return rc;
    pkcs11_key_forget(keys, id);
    rc = pkcs11_key_find(session, keys, id, &key, f);
    if (rc == ESIGN_E_NOT_FOUND) /* it was there a moment ago: the token has gone */
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "the token has lost the signer's key");
    return rc == ESIGN_OK ? pkcs11_sign_key(session, &key, digest, out, NULL, f) : rc;
}
