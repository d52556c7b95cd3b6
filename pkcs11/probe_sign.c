/* Signatures of the token, checked by OpenSSL under the public key that the token gives. */
#include "pkcs11/ckr.h"
#include "pkcs11/probe_internal.h"
#include "pkcs11/public.h"

#include "base/cleanup.h"

#include <openssl/rsa.h>

enum { SIGN_INPUT_MAX = 256, SIGN_LONG = 500 };

/* A digest of the right length; what it is does not matter. */
static const uint8_t sign_digest[48] = "esignd asks whether this token signs right here";

CK_RV probe_sign(const struct probe *p, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                 struct bytes input, uint8_t *ret, CK_ULONG *ret_len)
{
    CK_RV rv = p->s.calls->C_SignInit(p->s.handle, mechanism, key);
    CK_BYTE *data = (CK_BYTE *)(uintptr_t)input.data; /* only read; the interface has no const */

    return rv == CKR_OK ? p->s.calls->C_Sign(p->s.handle, data, input.len, ret, ret_len) : rv;
}

/* The public key of a pair as OpenSSL takes it, or NULL. */
static EVP_PKEY *sign_public(const struct probe *p, enum token_algorithm algorithm,
                             const struct probe_pair *pair)
{
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);

    if (pkcs11_public_read(&p->s, pair->public_key, pkcs11_mechanism_by_algorithm(algorithm), &spki,
                           NULL) != ESIGN_OK)
        return NULL;
    const uint8_t *at = spki.data;
    return d2i_PUBKEY(NULL, &at, (long)spki.len);
}

static bool sign_holds(EVP_PKEY *key, bool pss, struct bytes digest, struct bytes value)
{
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;

    if (!context || EVP_PKEY_verify_init(context) != 1)
        return false;
    if (EVP_PKEY_is_a(key, "RSA") &&
        (EVP_PKEY_CTX_set_rsa_padding(context, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) !=
             1 ||
         EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1 ||
         (pss && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, SHA256_LEN) != 1)))
        return false;
    return EVP_PKEY_verify(context, value.data, value.len, digest.data, digest.len) == 1;
}

CK_RV probe_sign_checked(const struct probe *p, enum token_algorithm algorithm,
                         const struct probe_pair *pair, CK_OBJECT_HANDLE key, bool *ret_holds)
{
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(algorithm);
    struct bytes digest = bytes_of(sign_digest, row->digest_len);
    CLEANUP(buf_done) struct buf input = buf_new(SIGN_INPUT_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *public_key = NULL;
    CK_MECHANISM mechanism = {row->sign, NULL, 0};
    uint8_t raw[TOKEN_SIGNATURE_MAX];
    CK_ULONG len = sizeof(raw);

    *ret_holds = false;
    pkcs11_mechanism_put_input(row, digest, &input);
    CK_RV rv = probe_sign(p, &mechanism, key, buf_bytes(&input), raw, &len);
    if (rv != CKR_OK || len > sizeof(raw))
        return rv;
    public_key = sign_public(p, algorithm, pair);
    *ret_holds = pkcs11_mechanism_put_value(row, bytes_of(raw, len), &value, NULL) == ESIGN_OK &&
                 sign_holds(public_key, false, digest, buf_bytes(&value));
    return CKR_OK;
}

PROBE_TRY(probe_try_sign)
{
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(check->algorithm);
    const struct probe_pair *pair = probe_pair(p, check->algorithm);
    bool holds = false;

    if (!pair) {
        probe_say(ret, PROBE_UNTRIED, "the token made no such key");
        return;
    }
    CK_RV rv = probe_sign_checked(p, check->algorithm, pair, pair->private_key, &holds);
    if (!probe_worked(ret, rv, "C_Sign"))
        return;
    if (holds)
        probe_say(ret, PROBE_PASS, "%zu bytes%s, good under the token's public key", row->value_len,
                  row->ec_group ? " (r and s)" : "");
    else
        probe_say(ret, PROBE_FAIL, "the value is not good under the token's own public key");
}

PROBE_TRY(probe_try_pss)
{
    CK_RSA_PKCS_PSS_PARAMS params = {CKM_SHA256, CKG_MGF1_SHA256, SHA256_LEN};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_PSS, &params, sizeof(params)};
    const struct probe_pair *pair = probe_pair(p, check->algorithm);
    struct bytes digest = bytes_of(sign_digest, SHA256_LEN);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *public_key = NULL;
    uint8_t raw[TOKEN_SIGNATURE_MAX];
    CK_ULONG len = sizeof(raw);

    if (!pair) {
        probe_say(ret, PROBE_UNTRIED, "the token made no such key");
        return;
    }
    CK_RV rv = probe_sign(p, &mechanism, pair->private_key, digest, raw, &len);
    if (!probe_worked(ret, rv, "C_Sign"))
        return;
    public_key = sign_public(p, check->algorithm, pair);
    bool holds = len <= sizeof(raw) && sign_holds(public_key, true, digest, bytes_of(raw, len));
    probe_say(ret, holds ? PROBE_PASS : PROBE_FAIL, "%s",
              holds ? "SHA-256, salt of 32 bytes: good" : "the value is not good");
}

/* Inputs that no key of ours signs: longer than an RSA block, or than the curve. */
static CK_RV sign_wrong(const struct probe *p, enum token_algorithm algorithm,
                        const struct probe_pair *pair, CK_ULONG *ret_len)
{
    static const uint8_t input[SIGN_LONG] = {1};
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(algorithm);
    CK_MECHANISM mechanism = {row->sign, NULL, 0};
    uint8_t raw[TOKEN_SIGNATURE_MAX];

    *ret_len = sizeof(raw);
    return probe_sign(p, &mechanism, pair->private_key,
                      bytes_of(input, row->ec_group ? row->digest_len + 1 : SIGN_LONG), raw,
                      ret_len);
}

PROBE_TRY(probe_try_length)
{
    enum token_algorithm algorithm = TOKEN_P256;
    const struct probe_pair *pair = probe_any_pair(p, &algorithm);
    bool holds = false;
    CK_ULONG len = 0;

    (void)check;
    if (!pair) {
        probe_say(ret, PROBE_UNTRIED, "the token made no key");
        return;
    }
    CK_RV wrong = sign_wrong(p, algorithm, pair, &len);
    CK_RV after = probe_sign_checked(p, algorithm, pair, pair->private_key, &holds);
    if (after != CKR_OK || !holds)
        probe_say(ret, PROBE_FAIL, "after %s the session no longer signs: %s",
                  pkcs11_ckr_name(wrong), pkcs11_ckr_name(after));
    else if (wrong == CKR_OK)
        probe_say(ret, PROBE_WARN, "a %s key signed input that is too long",
                  token_algorithm_name(algorithm));
    else
        probe_say(ret, PROBE_PASS, "refused (%s), and the session still signs",
                  pkcs11_ckr_name(wrong));
}
