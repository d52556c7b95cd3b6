#include "pkcs11/mechanism.h"

#include "base/cleanup.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

static const uint8_t mechanism_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t mechanism_p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

/* DigestInfo of SHA-256 up to its digest.  Source: RFC 8017 section 9.2, note 1. */
static const uint8_t mechanism_digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                                0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                                                0x01, 0x05, 0x00, 0x04, 0x20};

static const struct pkcs11_mechanism mechanism_rows[] = {
    {TOKEN_P256,
     CKK_EC,
     CKM_EC_KEY_PAIR_GEN,
     CKM_ECDSA,
     {mechanism_p256, sizeof(mechanism_p256)},
     SN_X9_62_prime256v1,
     0,
     32,
     64},
    {TOKEN_P384,
     CKK_EC,
     CKM_EC_KEY_PAIR_GEN,
     CKM_ECDSA,
     {mechanism_p384, sizeof(mechanism_p384)},
     SN_secp384r1,
     0,
     48,
     96},
    {TOKEN_RSA2048,
     CKK_RSA,
     CKM_RSA_PKCS_KEY_PAIR_GEN,
     CKM_RSA_PKCS,
     {NULL, 0},
     NULL,
     2048,
     32,
     256},
    {TOKEN_RSA3072,
     CKK_RSA,
     CKM_RSA_PKCS_KEY_PAIR_GEN,
     CKM_RSA_PKCS,
     {NULL, 0},
     NULL,
     3072,
     32,
     384},
    {TOKEN_RSA4096,
     CKK_RSA,
     CKM_RSA_PKCS_KEY_PAIR_GEN,
     CKM_RSA_PKCS,
     {NULL, 0},
     NULL,
     4096,
     32,
     512},
};

enum { MECHANISM_COUNT = sizeof(mechanism_rows) / sizeof(mechanism_rows[0]) };

const struct pkcs11_mechanism *pkcs11_mechanism_by_algorithm(enum token_algorithm algorithm)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++)
        if (mechanism_rows[i].algorithm == algorithm)
            return &mechanism_rows[i];
    return NULL;
}

const struct pkcs11_mechanism *pkcs11_mechanism_by_key(CK_KEY_TYPE key_type, struct bytes ec_params,
                                                       size_t modulus_len)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        const struct pkcs11_mechanism *row = &mechanism_rows[i];
        if (row->key_type != key_type)
            continue;
        if (row->ec_group ? bytes_equal(row->ec_params, ec_params)
                          : row->modulus_bits == modulus_len * 8)
            return row;
    }
    return NULL;
}

void pkcs11_mechanism_put_input(const struct pkcs11_mechanism *row, struct bytes digest,
                                struct buf *out)
{
    assert(digest.len == row->digest_len);
    if (!row->ec_group)
        buf_put(out, bytes_of(mechanism_digest_info, sizeof(mechanism_digest_info)));
    buf_put(out, digest);
}

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

static enum esign_rc mechanism_no_memory(struct fault *f)
{
    return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signature value");
}

static enum esign_rc mechanism_put_ecdsa(struct bytes value, struct buf *out, struct fault *f)
{
    CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)(value.len / 2);
    CLEANUP(BN_free_p) BIGNUM *r = BN_bin2bn(value.data, half, NULL);
    CLEANUP(BN_free_p) BIGNUM *s = BN_bin2bn(value.data + half, half, NULL);

    if (!sig || !r || !s)
        return mechanism_no_memory(f);
    if (BN_is_zero(r) || BN_is_zero(s))
        return fault_reason(f, ESIGN_E_HSM, "value", "the token gave a signature of zero");
    if (ECDSA_SIG_set0(sig, r, s) != 1)
        return mechanism_no_memory(f);
    r = s = NULL; /* now owned by sig */
    int len = i2d_ECDSA_SIG(sig, NULL);
    uint8_t *room = len > 0 ? buf_reserve(out, (size_t)len) : NULL;
    if (!room || i2d_ECDSA_SIG(sig, &room) != len)
        return mechanism_no_memory(f);
    return ESIGN_OK;
}

enum esign_rc pkcs11_mechanism_put_value(const struct pkcs11_mechanism *row, struct bytes value,
                                         struct buf *out, struct fault *f)
{
    if (value.len != row->value_len)
        return fault_reason(f, ESIGN_E_HSM, "value", "the token gave %zu bytes instead of %zu",
                            value.len, row->value_len);
    if (row->ec_group)
        return mechanism_put_ecdsa(value, out, f);
    buf_put(out, value);
    return buf_ok(out) ? ESIGN_OK : mechanism_no_memory(f);
}
