/* The algorithms that are offered, one row each: how a key is made, how it signs, what goes in and
 * what comes out. */
#pragma once

#include "base/buf.h"
#include "pkcs11/token.h"

#include <p11-kit/pkcs11.h>

struct pkcs11_mechanism {
    enum token_algorithm algorithm;
    CK_KEY_TYPE key_type;
    CK_MECHANISM_TYPE generate, sign;
    struct bytes ec_params; /* DER of the named curve; empty for RSA */
    const char *ec_group;   /* OpenSSL's name; NULL for RSA */
    CK_ULONG modulus_bits;  /* 0 for EC */
    size_t digest_len;      /* of the digest to sign */
    size_t value_len;       /* of what C_Sign gives: r||s, or the RSA value */
};

/* The row of an algorithm, or NULL. */
const struct pkcs11_mechanism *pkcs11_mechanism_by_algorithm(enum token_algorithm algorithm);

/* The row for a key that was found on a token, or NULL: not one that we use.  ec_params: of an EC
 * key; modulus_len: bytes of the modulus of an RSA key. */
const struct pkcs11_mechanism *pkcs11_mechanism_by_key(CK_KEY_TYPE key_type, struct bytes ec_params,
                                                       size_t modulus_len);

/* What C_Sign is given for a digest: EC the digest itself, RSA its DigestInfo.
 * digest: of row->digest_len bytes.  Source: RFC 8017 section 9.2. */
void pkcs11_mechanism_put_input(const struct pkcs11_mechanism *row, struct bytes digest,
                                struct buf *out);

/* What CMS and X.509 want for what C_Sign gave: EC r||s becomes ECDSA-Sig-Value, RSA stays.
 * ESIGN_E_HSM reason "value": wrong length, or r or s is zero.
 * Source: RFC 3279 section 2.2.3; PKCS #11 v2.40 mechanisms section 2.3.1. */
enum esign_rc pkcs11_mechanism_put_value(const struct pkcs11_mechanism *row, struct bytes value,
                                         struct buf *out, struct fault *f) MUST_CHECK;
