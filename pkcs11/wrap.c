#include "pkcs11/wrap.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/op.h"
#include "pkcs11/sign.h"

enum {
    WRAP_IV_LEN = 16,
    WRAP_POINT_MAX = 2 + 1 + 2 * 48,
    WRAP_NSS_DB = 0xD5A0DB00, /* CKA_NSS_DB: NSS wants the point of an EC key in it */
};

static const CK_MECHANISM_TYPE wrap_mechanisms[] = {
    [TOKEN_WRAP_KWP] = 0x210B, /* CKM_AES_KEY_WRAP_KWP of PKCS #11 3.0, newer than our headers */
    [TOKEN_WRAP_PAD] = CKM_AES_KEY_WRAP_PAD,
    [TOKEN_WRAP_PLAIN] = CKM_AES_KEY_WRAP,
    [TOKEN_WRAP_CBC] = CKM_AES_CBC_PAD,
};

CK_MECHANISM_TYPE pkcs11_wrap_mechanism(enum token_wrap wrap)
{
    return wrap_mechanisms[wrap];
}

enum esign_rc pkcs11_wrap_find(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                               const uint8_t kek_id[TOKEN_KEY_ID_LEN], CK_OBJECT_HANDLE *ret,
                               struct fault *f)
{
    struct pkcs11_key *kek = &keys->kek;

    if (kek->handle == 0 ||
        !bytes_equal(bytes_of(kek->id, TOKEN_KEY_ID_LEN), bytes_of(kek_id, TOKEN_KEY_ID_LEN))) {
        kek->handle = 0;
        enum esign_rc rc = pkcs11_key_search(session, CKO_SECRET_KEY, kek_id, &kek->handle, f);
        if (rc != ESIGN_OK)
            return rc;
        memcpy(kek->id, kek_id, TOKEN_KEY_ID_LEN);
    }
    *ret = kek->handle;
    return ESIGN_OK;
}

enum esign_rc pkcs11_wrap_out(const struct pkcs11_session *session,
                              const struct pkcs11_wrapper *wrapper, CK_OBJECT_HANDLE key,
                              struct buf *out, struct fault *f)
{
    CLEANUP(buf_done) struct buf room = buf_new_locked(TOKEN_WRAPPED_MAX);
    CK_MECHANISM mechanism = {wrap_mechanisms[wrapper->wrap], NULL, 0};
    uint8_t iv[WRAP_IV_LEN];
    CK_ULONG len = TOKEN_WRAPPED_MAX - WRAP_IV_LEN;

    if (wrapper->wrap == TOKEN_WRAP_CBC) {
        bytes_random(iv, sizeof(iv));
        mechanism.pParameter = iv;
        mechanism.ulParameterLen = sizeof(iv);
        buf_put(out, bytes_of(iv, sizeof(iv)));
    }
    uint8_t *at = buf_reserve(&room, len);
    if (!at)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a wrapped key");
    CK_RV rv = session->calls->C_WrapKey(session->handle, &mechanism, wrapper->kek, key, at, &len);
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_WrapKey");
    buf_put(out, bytes_of(at, len));
    return buf_ok(out) ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a wrapped key");
}

static CK_ATTRIBUTE wrap_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len}; /* read only, by the interface */
}

static CK_ATTRIBUTE wrap_flag(CK_ATTRIBUTE_TYPE type, bool on)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    return wrap_attribute(type, on ? &yes : &no, sizeof(CK_BBOOL));
}

/* The point of an EC key as CKA_EC_POINT has it: it ends the SubjectPublicKeyInfo.  0: none. */
static size_t wrap_point(const struct pkcs11_wrapped *wrapped, uint8_t ret[WRAP_POINT_MAX])
{
    size_t len = 1 + wrapped->mechanism->value_len;

    if (!wrapped->mechanism->ec_group || wrapped->spki.len < len || len + 2 > WRAP_POINT_MAX)
        return 0;
    ret[0] = 0x04; /* OCTET STRING */
    ret[1] = (uint8_t)len;
    memcpy(ret + 2, wrapped->spki.data + wrapped->spki.len - len, len);
    return len + 2;
}

/* One C_UnwrapKey; with_point: with the attribute that NSS needs for EC keys. */
static CK_RV wrap_unwrap(const struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                         const struct pkcs11_wrapped *wrapped, bool with_point,
                         CK_OBJECT_HANDLE *ret)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    uint8_t point[WRAP_POINT_MAX];
    size_t point_len = with_point ? wrap_point(wrapped, point) : 0;
    struct bytes blob = wrapped->blob;
    CK_MECHANISM mechanism = {wrap_mechanisms[wrapper->wrap], NULL, 0};
    CK_ATTRIBUTE template[] = {
        wrap_attribute(CKA_CLASS, &class, sizeof(class)),
        wrap_attribute(CKA_KEY_TYPE, &wrapped->mechanism->key_type,
                       sizeof(wrapped->mechanism->key_type)),
        wrap_flag(CKA_TOKEN, false),
        wrap_flag(CKA_PRIVATE, true),
        wrap_flag(CKA_SENSITIVE, !wrapped->readable),
        wrap_flag(CKA_EXTRACTABLE, wrapped->readable),
        wrap_flag(CKA_SIGN, true),
        wrap_attribute(WRAP_NSS_DB, point, point_len),
    };
    CK_ULONG count = sizeof(template) / sizeof(template[0]) - (point_len ? 0 : 1);

    if (wrapper->wrap == TOKEN_WRAP_CBC) {
        if (blob.len <= WRAP_IV_LEN)
            return CKR_WRAPPED_KEY_LEN_RANGE;
        mechanism.pParameter = (void *)(uintptr_t)blob.data; /* read only, as the blob below */
        mechanism.ulParameterLen = WRAP_IV_LEN;
        blob = bytes_of(blob.data + WRAP_IV_LEN, blob.len - WRAP_IV_LEN);
    }
    return session->calls->C_UnwrapKey(session->handle, &mechanism, wrapper->kek,
                                       (CK_BYTE *)(uintptr_t)blob.data, blob.len, template, count,
                                       ret);
}

enum esign_rc pkcs11_wrap_in(const struct pkcs11_session *session,
                             const struct pkcs11_wrapper *wrapper,
                             const struct pkcs11_wrapped *wrapped, CK_OBJECT_HANDLE *ret,
                             struct fault *f)
{
    CK_RV rv = wrap_unwrap(session, wrapper, wrapped, false, ret);

    if (rv == CKR_TEMPLATE_INCOMPLETE && wrapped->mechanism->ec_group)
        rv = wrap_unwrap(session, wrapper, wrapped, true, ret);
    return rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_UnwrapKey");
}

enum esign_rc pkcs11_wrap_sign(struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                               const struct pkcs11_wrapped *wrapped, struct bytes digest,
                               struct buf *out, struct fault *f)
{
    struct pkcs11_key key = {.mechanism = wrapped->mechanism};
    enum esign_rc rc = pkcs11_wrap_in(session, wrapper, wrapped, &key.handle, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = pkcs11_sign_key(session, &key, digest, out, NULL, f);
    CK_RV rv = session->calls->C_DestroyObject(session->handle, key.handle);
    if (rc != ESIGN_OK && pkcs11_ckr_class(rv) == PKCS11_CKR_STALE)
        return rc; /* it went with the session that pkcs11_sign_key() has replaced */
    if (rv != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "unavailable",
                            "an unwrapped key could not be destroyed: C_DestroyObject: %s (0x%lx)",
                            pkcs11_ckr_name(rv), rv);
    return rc;
}

/* Whether value is a signature of digest under the key of spki. */
static bool wrap_verifies(struct bytes spki, struct bytes digest, struct bytes value)
{
    const uint8_t *at = spki.data;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    CLEANUP(EVP_PKEY_CTX_free_p)
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;

    return context && EVP_PKEY_verify_init(context) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context, digest.len == 48 ? EVP_sha384() : EVP_sha256()) ==
               1 &&
           EVP_PKEY_verify(context, value.data, value.len, digest.data, digest.len) == 1;
}

/* Wrap the pair and see that what comes back is its private half. */
static enum esign_rc wrap_pair(struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                               const struct pkcs11_mechanism *mechanism, CK_OBJECT_HANDLE key,
                               struct bytes spki, struct buf *out, struct fault *f)
{
    uint8_t digest[TOKEN_DIGEST_MAX];
    CLEANUP(buf_done) struct buf blob = buf_new_locked(TOKEN_WRAPPED_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    enum esign_rc rc = pkcs11_wrap_out(session, wrapper, key, &blob, f);

    if (rc != ESIGN_OK)
        return rc;
    bytes_random(digest, sizeof(digest));
    const struct bytes tried = bytes_of(digest, mechanism->digest_len);
    const struct pkcs11_wrapped wrapped = {mechanism, buf_bytes(&blob), spki, false};
    rc = pkcs11_wrap_sign(session, wrapper, &wrapped, tried, &value, f);
    if (rc == ESIGN_OK && !wrap_verifies(spki, tried, buf_bytes(&value)))
        rc = fault_reason(f, ESIGN_E_HSM, "value", "an unwrapped key gave a wrong signature value");
    if (rc == ESIGN_OK)
        buf_put(out, buf_bytes(&blob));
    return rc;
}

enum esign_rc pkcs11_wrap_generate(struct pkcs11_session *session,
                                   const struct pkcs11_wrapper *wrapper,
                                   const struct pkcs11_mechanism *mechanism, struct buf *out_spki,
                                   struct buf *out_wrapped, struct fault *f)
{
    struct pkcs11_key_order order = {.mechanism = mechanism, .label = "esignd wrapped"};
    struct pkcs11_pair pair = {0};
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);

    bytes_random(order.id, sizeof(order.id));
    enum esign_rc rc = pkcs11_key_generate_session(session, &order, &pair, &spki, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = wrap_pair(session, wrapper, mechanism, pair.private_key, buf_bytes(&spki), out_wrapped, f);
    if (!pkcs11_key_destroy(session, &pair))
        rc = fault_reason(f, ESIGN_E_HSM, "unavailable", "a wrapped key could not be destroyed");
    if (rc != ESIGN_OK)
        return rc;
    buf_put(out_spki, buf_bytes(&spki));
    return ESIGN_OK;
}
