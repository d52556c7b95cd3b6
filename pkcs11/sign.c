#include "pkcs11/sign.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/op.h"

enum { SIGN_INPUT_MAX = TOKEN_DIGEST_MAX + 32, SIGN_TRIES = 2 };

/* Both calls; *ret_len: in room of TOKEN_SIGNATURE_MAX bytes. */
static CK_RV sign_call(const struct pkcs11_session *s, const struct pkcs11_key *key,
                       struct buf *input, uint8_t room[TOKEN_SIGNATURE_MAX], CK_ULONG *ret_len)
{
    CK_MECHANISM mechanism = {key->mechanism->sign, NULL, 0};

    *ret_len = TOKEN_SIGNATURE_MAX;
    CK_RV rv = s->calls->C_SignInit(s->handle, &mechanism, key->handle);
    return rv == CKR_OK ? s->calls->C_Sign(s->handle, input->data, input->len, room, ret_len) : rv;
}

/* The key; one that was there a moment ago and has gone means that the token has gone. */
static enum esign_rc sign_find(const struct pkcs11_session *s, struct pkcs11_keys *keys,
                               const uint8_t id[TOKEN_KEY_ID_LEN], bool again,
                               struct pkcs11_key *ret, struct fault *f)
{
    enum esign_rc rc = pkcs11_key_find(s, keys, id, ret, f);

    if (rc == ESIGN_E_NOT_FOUND && again)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "the token has lost the signer's key");
    return rc;
}

enum esign_rc pkcs11_sign(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                          const uint8_t id[TOKEN_KEY_ID_LEN], struct bytes digest, struct buf *out,
                          struct fault *f)
{
    uint8_t value[TOKEN_SIGNATURE_MAX];
    CK_ULONG value_len = 0;
    CK_RV rv = CKR_OK;

    for (int i = 0; i < SIGN_TRIES; i++) {
        struct pkcs11_key key;
        CLEANUP(buf_done) struct buf input = buf_new(SIGN_INPUT_MAX);
        enum esign_rc rc = sign_find(session, keys, id, i > 0, &key, f);
        if (rc != ESIGN_OK)
            return rc;
        if (digest.len != key.mechanism->digest_len)
            return fault_set(f, ESIGN_E_PROTO, "this key signs digests of %zu bytes, not %zu",
                             key.mechanism->digest_len, digest.len);
        pkcs11_mechanism_put_input(key.mechanism, digest, &input);
        if (!buf_ok(&input))
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a digest");
        rv = sign_call(session, &key, &input, value, &value_len);
        if (rv == CKR_OK)
            return pkcs11_mechanism_put_value(key.mechanism, bytes_of(value, value_len), out, f);
        if (pkcs11_ckr_class(rv) != PKCS11_CKR_STALE)
            break;
        pkcs11_key_forget(keys, id);
    }
    return pkcs11_fail(f, rv, "C_Sign");
}
