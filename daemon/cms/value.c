/* The one form of a signature value. */
#include "cms/cms_internal.h"

#include "base/cleanup.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)
DEFINE_CLEANUP(EC_GROUP *, EC_GROUP_free)

/* s becomes n - s where that is smaller. */
static bool take_smaller_s(ECDSA_SIG *value, int curve)
{
    CLEANUP(EC_GROUP_free_p) EC_GROUP *group = EC_GROUP_new_by_curve_name(curve);
    const BIGNUM *n = group ? EC_GROUP_get0_order(group) : NULL;
    CLEANUP(BN_free_p) BIGNUM *other = BN_new();
    CLEANUP(BN_free_p) BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(value));
    const BIGNUM *s = ECDSA_SIG_get0_s(value);

    if (!n || !other || !r || BN_is_negative(s) || BN_cmp(s, n) >= 0 || BN_sub(other, n, s) != 1)
        return false;
    if (BN_cmp(s, other) <= 0)
        return true;
    if (ECDSA_SIG_set0(value, r, other) != 1)
        return false;
    r = other = NULL; /* taken over */
    return true;
}

enum esign_rc cms_put_value(struct buf *out, struct bytes value, enum token_algorithm algorithm,
                            struct fault *f)
{
    if (algorithm != TOKEN_P256 && algorithm != TOKEN_P384) {
        buf_put(out, value);
        return ESIGN_OK;
    }
    const unsigned char *at = value.data;
    CLEANUP(ECDSA_SIG_free_p)
    ECDSA_SIG *ecdsa =
        value.len <= TOKEN_SIGNATURE_MAX ? d2i_ECDSA_SIG(NULL, &at, (long)value.len) : NULL;
    bool good =
        ecdsa && at == value.data + value.len &&
        take_smaller_s(ecdsa, algorithm == TOKEN_P256 ? NID_X9_62_prime256v1 : NID_secp384r1);
    int len = good ? i2d_ECDSA_SIG(ecdsa, NULL) : 0;
    unsigned char *room = len > 0 ? buf_reserve(out, (size_t)len) : NULL;
    ERR_clear_error();
    if (!room || i2d_ECDSA_SIG(ecdsa, &room) != len)
        return fault_set(f, ESIGN_E_FORMAT, "this is no ECDSA signature value");
    return ESIGN_OK;
}
