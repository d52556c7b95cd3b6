/* What is signed, and whether a value is its signature. */
#include "cms/cms_internal.h"

#include "cms/certificate.h"
#include "cms/key.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

enum { SHA384_LEN = 48 };

enum esign_rc cms_dtbs_digest(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct buf *ret, struct fault *f)
{
    enum esign_rc rc = cms_check_algorithm(algorithm, f);
    if (rc)
        return rc;
    uint8_t digest[SHA256_LEN];
    bytes_sha256(signed_attributes, (struct bytes){0}, digest);
    buf_put(ret, bytes_of(digest, sizeof digest));
    if (!buf_ok(ret))
        return fault_set(f, ESIGN_E_INTERNAL, "no room for a digest");
    return ESIGN_OK;
}

/* A context that verifies digests of md under key; NULL if the key can't do that. */
static EVP_PKEY_CTX *new_verifier(EVP_PKEY *key, const EVP_MD *md)
{
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx || EVP_PKEY_verify_init(ctx) != 1)
        return NULL;
    if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
        return NULL;
    if (EVP_PKEY_CTX_set_signature_md(ctx, md) != 1)
        return NULL;
    return TAKE(ctx);
}

enum esign_rc cms_check_with_key(EVP_PKEY *key, struct bytes digest, struct bytes value, bool *ret,
                                 struct fault *f)
{
    if (digest.len != SHA256_LEN && digest.len != SHA384_LEN)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "a digest of %zu bytes", digest.len);
    CLEANUP(EVP_PKEY_CTX_free_p)
    EVP_PKEY_CTX *ctx =
        key ? new_verifier(key, digest.len == SHA384_LEN ? EVP_sha384() : EVP_sha256()) : NULL;
    if (!ctx)
        return fault_cause(f, ESIGN_E_INTERNAL, ERR_peek_last_error(),
                           "a certificate's key can't verify signatures");
    *ret = EVP_PKEY_verify(ctx, value.data, value.len, digest.data, digest.len) == 1;
    ERR_clear_error(); /* a value that is no signature leaves errors behind */
    return ESIGN_OK;
}

enum esign_rc cms_check_value_with(X509 *cert, struct bytes digest, struct bytes value, bool *ret,
                                   struct fault *f)
{
    return cms_check_with_key(X509_get0_pubkey(cert), digest, value, ret, f);
}
