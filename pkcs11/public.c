#include "pkcs11/public.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

enum { PUBLIC_VALUE_MAX = 1024 };

DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)

static enum esign_rc public_unusable(struct fault *f)
{
    return fault_reason(f, ESIGN_E_HSM, "key", "the token's public key is not usable");
}

/* A key of these parameters as SubjectPublicKeyInfo; OpenSSL checks that a point is on its curve.
 */
static enum esign_rc public_put(const char *type, OSSL_PARAM_BLD *build, struct buf *out,
                                struct fault *f)
{
    CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    CLEANUP(EVP_PKEY_CTX_free_p)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;

    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return public_unusable(f);
    int len = i2d_PUBKEY(key, NULL);
    uint8_t *room = len > 0 ? buf_reserve(out, (size_t)len) : NULL;
    return room && i2d_PUBKEY(key, &room) == len ? ESIGN_OK : public_unusable(f);
}

/* The point within DER, where the token wraps it as PKCS #11 v2.40 section 2.3.3 wants it. */
static struct bytes public_unwrap(struct bytes point, size_t len)
{
    size_t header = len < 128 ? 2 : 3;

    if (point.len != len + header || point.data[0] != 0x04 || point.data[header - 1] != len ||
        (header == 3 && point.data[1] != 0x81))
        return point;
    return bytes_of(point.data + header, len);
}

enum esign_rc pkcs11_public_ec(const struct pkcs11_mechanism *mechanism, struct bytes point,
                               struct buf *out, struct fault *f)
{
    CLEANUP(OSSL_PARAM_BLD_free_p) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    size_t len = mechanism->value_len + 1; /* 0x04, then two coordinates as long as r and s */
    struct bytes bare = public_unwrap(point, len);

    if (bare.len != len || bare.data[0] != 0x04 || !build ||
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, mechanism->ec_group,
                                        0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, bare.data, bare.len) != 1)
        return public_unusable(f);
    return public_put("EC", build, out, f);
}

enum esign_rc pkcs11_public_rsa(struct bytes modulus, struct bytes exponent, struct buf *out,
                                struct fault *f)
{
    CLEANUP(OSSL_PARAM_BLD_free_p) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(BN_free_p) BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    CLEANUP(BN_free_p) BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);

    if (!build || !n || !e || !BN_is_odd(n) || !BN_is_odd(e) ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return public_unusable(f);
    return public_put("RSA", build, out, f);
}

enum esign_rc pkcs11_public_read(const struct pkcs11_session *session, CK_OBJECT_HANDLE object,
                                 const struct pkcs11_mechanism *mechanism, struct buf *out,
                                 struct fault *f)
{
    uint8_t first[PUBLIC_VALUE_MAX], second[PUBLIC_VALUE_MAX];
    CK_ATTRIBUTE wanted[] = {
        {mechanism->ec_group ? CKA_EC_POINT : CKA_MODULUS, first, sizeof(first)},
        {CKA_PUBLIC_EXPONENT, second, sizeof(second)},
    };

    CK_RV rv = session->calls->C_GetAttributeValue(session->handle, object, wanted,
                                                   mechanism->ec_group ? 1 : 2);
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_GetAttributeValue of a public key");
    if (wanted[0].ulValueLen > sizeof(first) || wanted[1].ulValueLen > sizeof(second))
        return public_unusable(f); /* a module that tells of more than it was given room for */
    if (mechanism->ec_group)
        return pkcs11_public_ec(mechanism, bytes_of(first, wanted[0].ulValueLen), out, f);
    return pkcs11_public_rsa(bytes_of(first, wanted[0].ulValueLen),
                             bytes_of(second, wanted[1].ulValueLen), out, f);
}
